"""Time of whole epochs of `main.py -sr`, the original's and netslim's: data, steps, log lines, evaluation, checkpoint.

    python benchmarks/epoch.py CHECKOUT [--rounds 2] [--epochs 3] [--out results/epoch.csv]

CHECKOUT is a clone of the original network-slimming scripts (Eric-mingjie). What current versions of torch don't know
is replaced while its `main.py` is read; its evaluation gets the `no_grad` that it meant. Both train on files of
CIFAR-10's form with random images, and evaluate all test images after every epoch. Every run is a fresh process, and
the sides take turns. The first epoch of a run is not counted: start-up and the choice of a precision are in it.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from startup import NETSLIM, write_cifar
from table import quartiles, write_rows
from training_step import original_commit

PER_FILE = 500  # images in each of five training files and one test file
# torchvision would hash the files, and download others.
ORIGINAL = """
import sys
from pathlib import Path
from torchvision.datasets import CIFAR10
CIFAR10._check_integrity = lambda self: True
CIFAR10._load_meta = lambda self: None
checkout = sys.argv.pop(1)
sys.path.insert(0, checkout)
text = Path(checkout, "main.py").read_text()
for old, new in (
    ("loss.data[0]", "loss.item()"),
    ("size_average=False).data[0]", "reduction='sum').item()"),
    ("Variable(data, volatile=True)", "data"),
    ("def test():", "@torch.no_grad()\\ndef test():"),
):
    text = text.replace(old, new)
exec(compile(text, "main.py", "exec"))
"""


def commands(args: argparse.Namespace, data: Path, save: Path) -> dict[str, list[str]]:
    """The command line of each side."""
    common = ["--dataset", "cifar10", "--arch", "resnet", "--depth", str(args.depth), "-sr", "--save", str(save)]
    common += ["--epochs", str(args.epochs)]
    python = [sys.executable, "-u", "-c"]
    ours = [*python, NETSLIM, str(data), "train", *common, "--data-dir", str(data), "--select-on", "test"]
    return {
        "original": [*python, ORIGINAL, str(args.checkout.resolve()), *common],
        "netslim, fp32": [*ours, "--precision", "fp32"],
        "netslim, auto": ours,
    }


def seconds_of_epochs(command: list[str], folder: Path) -> list[float]:
    """The times between the lines that end an epoch."""
    ends = []
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith(("Test set:", "epoch ")):
                ends.append(time.perf_counter())
    if process.returncode or len(ends) < 2:
        raise RuntimeError(f"{' '.join(command[:2])} ... ended with {process.returncode} after {len(ends)} epochs")
    return [end - start for start, end in pairwise(ends)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--depth", type=int, default=164)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3, help="of a run, at least 3")
    parser.add_argument("--out", type=Path, default=Path("results/epoch.csv"))
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.cifar10"  # where the original looks
        data.mkdir()
        write_cifar(data, PER_FILE)
        for number in range(args.rounds):
            for side, command in commands(args, data, Path(folder) / "runs").items():
                command[command.index("--save") + 1] += f"-{side}-{number}"
                seconds.setdefault(side, []).extend(seconds_of_epochs(command, Path(folder)))
    write_rows(args.out, [row(args, side, seconds) for side in seconds])


def row(args: argparse.Namespace, side: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Quartiles over the epochs, and how many times faster than the original the median is."""
    return {
        "side": side,
        "depth": args.depth,
        "images": 5 * PER_FILE,
        "test_images": PER_FILE,
        "epochs": len(seconds[side]),
        **{f"seconds_{key}": value for key, value in quartiles(seconds[side]).items()},
        "times_original": statistics.median(seconds["original"]) / statistics.median(seconds[side]),
        "original_commit": original_commit(args.checkout),
    }


if __name__ == "__main__":
    main()
