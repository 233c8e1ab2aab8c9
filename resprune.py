"""Pruning of ResNets with the guide's arguments; see `python resprune.py --help` and `netslim`."""

from netslim.cli.entry import script

if __name__ == "__main__":
    script("resprune.py")
