"""What training costs: time over MACs and batch sizes, and memory over depths, batch sizes and epochs.

    python benchmarks/cost.py [--original DIR] [--steps 5] [--out results/cost.csv]

`part` says what a row is of. `step`: training steps of the guide's ResNets at every depth and batch size, and of depth
56 pruned to other widths (its scales are random). `original`: the same step by the original's code, as it is; DIR is a
checkout of github.com/Eric-mingjie/network-slimming that runs on this version of torch. `epoch`: `netslim train` on
the embedded digits, after each epoch. Everything is exact fp32.

`macs` are those of one image's forward pass and `gmacs_per_second` counts them alone: a step computes about three times
as many. `time_per_mac` is seconds per image and MAC over those of the largest network and batch; 1 everywhere would be
cost in strict proportion. `peak_mb` is the largest resident memory of the whole process so far, `libraries_mb` what it
was before there was a network, and `resident_mb` what is resident after an epoch, all from Linux' /proc. Every row of a
step is a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

import netslim
from netslim.training.precision import EXACT
from table import quartiles, write_rows
from training_step import SIZE, WARM_UP, Step, netslim_step, original_step, random_batch

DEPTHS, BATCHES = (20, 56, 110, 164), (32, 64, 128)
PRUNED_DEPTH, PERCENTS, PRUNED_BATCH = 56, (0.3, 0.6), 64
EPOCHS, EPOCHS_DEPTH = 6, 20
FIELDS = {"peak": "VmHWM", "resident": "VmRSS"}
COLUMNS = ("part", "side", "depth", "percent", "batch", "epoch", "params", "macs", "steps")
MEASURED = ("images_per_second_q1", "images_per_second_median", "images_per_second_q3", "gmacs_per_second")
ALL = (*COLUMNS, *MEASURED, "time_per_mac", "peak_mb", "libraries_mb", "resident_mb")


def network(depth: int, percent: float) -> nn.Module:
    """The guide's ResNet, pruned by `percent` where that is not 0."""
    torch.manual_seed(0)
    model: nn.Module = netslim.create_model("resnet", depth=depth)
    if not percent:
        return model
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight)
    return netslim.apply(model, netslim.plan(model, torch.zeros(1, 3, SIZE, SIZE), percent=percent))


def measure_step(asked: dict[str, Any]) -> dict[str, Any]:
    """What a fresh process measures for one row."""
    torch.nn.functional.conv2d(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 3, 3))  # what the first one allocates
    before = resident("VmHWM")
    if asked["original"]:
        step: Step
        step, cost = original_step(Path(asked["original"]), asked["depth"]), None
    else:
        model = network(asked["depth"], asked["percent"])
        cost = netslim.measure(model, torch.zeros(1, 3, SIZE, SIZE))
        step = netslim_step(model, EXACT)
    images, labels = random_batch(asked["batch"])
    seconds = []
    for _ in range(WARM_UP + asked["steps"]):
        start = time.perf_counter()
        step(images, labels)
        seconds.append(time.perf_counter() - start)
    speeds = quartiles([asked["batch"] / s for s in seconds[WARM_UP:]])
    return {
        **({"params": cost.params, "macs": cost.macs} if cost else {}),
        **{f"images_per_second_{key}": value for key, value in speeds.items()},
        "peak_mb": resident("VmHWM"),
        "libraries_mb": before,
    }


def step_row(side: str, depth: int, batch: int, arguments: argparse.Namespace, percent: float = 0.0) -> dict[str, Any]:
    """One row, measured in a process of its own."""
    named = {"depth": depth, "percent": percent, "batch": batch, "steps": arguments.steps}
    original = str(arguments.original) if side == "original" else None
    command = [sys.executable, __file__, "--one", json.dumps({**named, "original": original})]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return {"part": "original" if original else "step", "side": side, **named, **found}


def epoch_rows(epochs: int) -> list[dict[str, Any]]:
    """Resident memory of `netslim train` after each epoch."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-u", "-m", "netslim", "train", "-sr", "--precision", "fp32", "--save", folder]
        command += ["--dataset", "digits", "--depth", str(EPOCHS_DEPTH), "--epochs", str(epochs)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if line.startswith("epoch "):
                    known = {"part": "epoch", "side": "netslim", "depth": EPOCHS_DEPTH, "batch": 64}
                    memory = {f"{name}_mb": resident(field, process.pid) for name, field in FIELDS.items()}
                    rows.append({**known, "epoch": len(rows) + 1, **memory})
    if len(rows) != epochs:
        raise RuntimeError(f"{' '.join(command)} ended after {len(rows)} epochs")
    return rows


def with_shares(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds what follows from the speed: MACs per second, and the time of a MAC over that of the largest row."""
    steps = [row for row in rows if "macs" in row]
    per_mac = {id(row): 1 / (row["images_per_second_median"] * row["macs"]) for row in steps}
    largest = max(steps, key=lambda row: row["macs"] * row["batch"])
    for row in steps:
        row["gmacs_per_second"] = row["images_per_second_median"] * row["macs"] / 1e9
        row["time_per_mac"] = per_mac[id(row)] / per_mac[id(largest)]
    return [{key: row.get(key, "") for key in ALL} for row in rows]


def resident(field: str, process: int | str = "self") -> float:
    """A field of Linux' account of a process, in MB: `VmHWM` is the largest resident memory so far."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--original", type=Path, help="checkout of the original's code")
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--steps", type=int, default=5, help="at least 2")
    parser.add_argument("--out", type=Path, default=Path("results/cost.csv"))
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure_step(arguments.one)))
        return
    rows = [
        step_row("netslim", depth, batch, arguments) for depth, batch in product(arguments.depths, arguments.batches)
    ]
    rows += [step_row("netslim", PRUNED_DEPTH, PRUNED_BATCH, arguments, percent) for percent in PERCENTS]
    if arguments.original:
        rows.append(step_row("original", max(arguments.depths), 64, arguments))
    write_rows(arguments.out, with_shares([*rows, *epoch_rows(arguments.epochs)]))


if __name__ == "__main__":
    main()
