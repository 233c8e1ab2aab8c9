"""Pruning of ResNets with the guide's arguments; see `python resprune.py --help` and `netslim`."""

from netslim.cli.scripts import run

if __name__ == "__main__":
    run("resprune.py")
