"""Weight transfer with the guide's arguments; see `python transfer_weights.py --help` and `netslim`."""

from netslim.cli.scripts import run

if __name__ == "__main__":
    run("transfer_weights.py")
