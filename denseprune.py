"""Pruning of DenseNets with the original's arguments; see `python denseprune.py --help` and `netslim`."""

from netslim.cli.entry import script

if __name__ == "__main__":
    script("denseprune.py")
