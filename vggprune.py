"""Pruning of VGGs with the original's arguments; see `python vggprune.py --help` and `netslim`."""

from netslim.cli.scripts import run

if __name__ == "__main__":
    run("vggprune.py")
