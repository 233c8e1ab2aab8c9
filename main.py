"""Training with the guide's arguments; see `python main.py --help` and `netslim`."""

from netslim.cli.scripts import run

if __name__ == "__main__":
    run("main.py")
