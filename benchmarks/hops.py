"""How far one has to read to follow a `netslim prune`: the files that it goes through, and the hops between them.

    python benchmarks/hops.py [--commit NAME] [--out results/hops.csv] [--pairs N]

The way is that of the stage's `run(config)` for a seeded ResNet-20 in a file, 40 % of the channels to go, on the CPU,
without images. A file counts if a function in it is called; a hop is a call from one file of netslim to another, which
the network's own forward passes make, too. Reading the command line comes before, and the page that is drawn beside the
files comes after (967d56c drew none). Nothing is imported on the way: the same was done once before in this process.

Another version is counted with its `src` in PYTHONPATH; its row is added to the table.
"""

import argparse
import collections
import csv
import functools
import importlib
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

import netslim

ROOT = str(Path(netslim.__file__).parent) + "/"
PERCENT = 0.4
PAGE = "write_beside"  # what draws the page


def stage_of(folder: Path, save: str) -> Callable[[], Any]:
    """One run of the verb, by the version at hand, with its settings read already."""
    stage: Any = importlib.import_module("netslim.stages.prune")
    if not hasattr(stage, "PruneConfig"):
        stage = importlib.import_module("netslim.stages.prune.run")
    given = {"model": folder / "net.pth.tar", "save": folder / save, "percent": PERCENT, "device": "cpu"}
    return functools.partial(stage.run, stage.PruneConfig.build(given))


def network() -> nn.Module:
    """ResNet-20 with scales that tell its channels apart, as after a training with the penalty."""
    torch.manual_seed(0)
    model: nn.Module = netslim.create_model("resnet", depth=20, num_classes=10)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight)
    return model


class Counter:
    """Counts while it is Python's profiler."""

    def __init__(self) -> None:
        self.files = set[str]()
        self.hops = collections.Counter[tuple[str, str]]()
        self._in_page = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Called by Python for every call and return."""
        file = frame.f_code.co_filename
        if frame.f_code.co_name == PAGE and file.startswith(ROOT):
            self._in_page = event == "call"
        if self._in_page or event != "call" or not file.startswith(ROOT) or frame.f_code.co_name == "<module>":
            return
        self.files.add(file)
        above = frame.f_back.f_code.co_filename if frame.f_back else ""
        if above.startswith(ROOT) and above != file:
            self.hops[above.removeprefix(ROOT), file.removeprefix(ROOT)] += 1


def counted(folder: Path) -> Counter:
    """What one pruning takes, after another."""
    netslim.save(folder / "net.pth.tar", network())
    stage_of(folder, "first")()
    counter, second = Counter(), stage_of(folder, "second")
    sys.setprofile(counter)
    try:
        second()
    finally:
        sys.setprofile(None)
    return counter


def head() -> str:
    """The commit of the version at hand."""
    words = ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def write(path: Path, row: dict[str, Any]) -> None:
    """Adds a row to the table, in the place of an earlier one of the same commit."""
    rows: list[dict[str, Any]] = []
    if path.exists():
        with path.open(newline="") as file:
            rows = [old for old in csv.DictReader(file) if old["commit"] != row["commit"]]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*row], lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, row])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", help="what to call the version; default: its commit")
    parser.add_argument("--out", type=Path, default=Path("results/hops.csv"))
    parser.add_argument("--pairs", type=int, default=0, help="print the pairs of files with the most hops")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        counter = counted(Path(folder))
    row = {
        "commit": arguments.commit or head(),
        "files": len(counter.files),
        "hops": counter.hops.total(),
        "pairs": len(counter.hops),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "netslim": netslim.__version__,
    }
    write(arguments.out, row)
    print(f"{row['commit']}: {row['files']} files, {row['hops']} hops between {row['pairs']} pairs of files")
    for (above, below), hops in counter.hops.most_common(arguments.pairs):
        print(f"{hops:6} {above} -> {below}")


if __name__ == "__main__":
    main()
