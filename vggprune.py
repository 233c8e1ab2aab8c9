"""Pruning of VGGs with the original's arguments; see `python vggprune.py --help` and `netslim`."""

from netslim.cli.entry import script

if __name__ == "__main__":
    script("vggprune.py")
