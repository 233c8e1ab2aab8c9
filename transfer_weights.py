"""Weight transfer with the guide's arguments; see `python transfer_weights.py --help` and `netslim`."""

from netslim.cli.entry import script

if __name__ == "__main__":
    script("transfer_weights.py")
