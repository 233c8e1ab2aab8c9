"""Pruning of DenseNets with the original's arguments; see `python denseprune.py --help` and `netslim`."""

from netslim.cli.scripts import run

if __name__ == "__main__":
    run("denseprune.py")
