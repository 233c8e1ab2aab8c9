"""Training with the guide's arguments; see `python main.py --help` and `netslim`."""

from netslim.cli.entry import script

if __name__ == "__main__":
    script("main.py")
