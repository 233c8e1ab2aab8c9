"""Wall time of `netslim --help`, and of `netslim train` up to its first step.

    python benchmarks/startup.py [--runs 10] [--out results/startup.csv]

`netslim --help` is what every mistyped command costs. The training starts on a data set of CIFAR-10's size and form
(its images are random), which it reads, hashes and cuts in two as it does with the published one. Its time ends when
the first step is reported, so it includes that step, the choice of a precision and all imports.
"""

import argparse
import hashlib
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from table import quartiles, write_rows

DEPTHS = (20, 164)
# The first argument is a folder with the files: their hashes stand in for the published ones. The rest is the command.
NETSLIM = """
import hashlib, sys
from pathlib import Path
from netslim.cli.app import main
from netslim.data.cifar import CIFAR10
folder = Path(sys.argv[1]) / CIFAR10.folder
for part in (CIFAR10.train, CIFAR10.test, CIFAR10.meta):
    part.update({file: (folder / f"{file}.md5").read_text() for file in part})
main(sys.argv[2:])
"""


def write_cifar(root: Path, per_file: int = 10_000) -> None:
    """Files like those of CIFAR-10, with so many random images in each, and beside each its MD5."""
    generator = np.random.default_rng(0)
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    contents = {"batches.meta": {"label_names": [f"class {label}" for label in range(10)]}}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        pixels = generator.integers(0, 256, (per_file, 3072), dtype=np.uint8)
        contents[name] = {"data": pixels, "labels": generator.integers(0, 10, per_file).tolist()}
    for name, content in contents.items():
        data = pickle.dumps(content, protocol=4)
        (folder / name).write_bytes(data)
        (folder / f"{name}.md5").write_text(hashlib.md5(data, usedforsecurity=False).hexdigest())


def seconds_of_help() -> float:
    """One run in a fresh process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "netslim", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def seconds_to_first_step(root: Path, depth: int) -> float:
    """One fresh process, which is ended after its first step."""
    with tempfile.TemporaryDirectory() as save:
        command = [
            sys.executable,
            "-u",
            "-c",
            NETSLIM,
            str(root),
            "train",
            "--dataset",
            "cifar10",
            "--log-interval",
            "1",
        ]
        command += ["--data-dir", str(root), "--depth", str(depth), "-sr", "--save", save]
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if line.startswith("Train Epoch"):
                    seconds = time.perf_counter() - start
                    process.kill()
                    return seconds
    raise RuntimeError(f"{' '.join(command)} ended without a step")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="at least 2; half as many of the training")
    parser.add_argument("--out", type=Path, default=Path("results/startup.csv"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_cifar(Path(folder))
        measured = {"netslim --help": (seconds_of_help, arguments.runs)}
        for depth in DEPTHS:
            named = f"netslim train --depth {depth}: first step"
            measured[named] = (
                lambda depth=depth: seconds_to_first_step(Path(folder), depth),
                max(2, arguments.runs // 2),
            )
        rows = []
        for name, (act, runs) in measured.items():
            act()  # fills the file cache
            found = quartiles([act() for _ in range(runs)])
            rows.append({"command": name, "runs": runs, **{f"{key}_seconds": value for key, value in found.items()}})
    write_rows(arguments.out, rows)


if __name__ == "__main__":
    main()
