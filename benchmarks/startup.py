"""Wall time of `netslim --help`: what every mistyped command costs.

python benchmarks/startup.py [--runs 10] [--out results/startup.csv]
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from table import quartiles, write_rows


def seconds_of_help() -> float:
    """One run in a fresh process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "netslim", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("results/startup.csv"))
    arguments = parser.parse_args()
    seconds_of_help()  # fills the file cache
    seconds = [seconds_of_help() for _ in range(arguments.runs)]
    measured = {f"{name}_seconds": value for name, value in quartiles(seconds).items()}
    write_rows(arguments.out, [{"command": "netslim --help", "runs": arguments.runs, **measured}])


if __name__ == "__main__":
    main()
