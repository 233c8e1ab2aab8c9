"""How long a training step of a pruned network takes, by how its widths are rounded -> results/widths.csv.

    python benchmarks/widths.py [--depth 20] [--share 0.5] [--batch 64] [--out results/widths.csv]

The network as it is and cut to a share of its MACs (at random: new weights), its widths as they come and in multiples
of 8 and 16, are trained in turns by the step of `netslim train`, channels-last, on images of 32 pixels; `ms` is the
median of steps, `time` its share of the unpruned network's in the same run. Where a rounding can't reach the MACs, its
row is left out.
"""

import argparse
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

import netslim
from netslim.core.errors import NetslimError
from netslim.core.processes.allocator import keep_freed_memory
from netslim.training.precision import Precision
from table import quartiles, write_rows
from training_step import netslim_step, random_batch

Row = dict[str, Any]
WIDTHS: dict[str, Row] = {"as they come": {}, "multiples of 8": {"round_to": 8}, "multiples of 16": {"round_to": 16}}
STREAMS: dict[str, Row] = {"whole": {}, "coupled": {"residual": "couple"}}
MET = 0.01  # of the MACs may be missed
STEPS, FIRST = 25, 3  # steps of each, and those before that are not timed


def networks(depth: int, share: float) -> dict[tuple[str, str], nn.Module]:
    """The unpruned network, and those cut from it, by what is done with streams and widths."""
    torch.manual_seed(0)
    dense = netslim.create_model("resnet", depth=depth, num_classes=10)
    found: dict[tuple[str, str], nn.Module] = {("whole", "unpruned"): dense}
    for (stream, coupled), (width, rounded) in product(STREAMS.items(), WIDTHS.items()):
        given: Row = {"target_macs": share, "criterion": "random", **coupled, **rounded}
        try:
            plan = netslim.plan(dense, torch.zeros(1, 3, 32, 32), **given)
        except NetslimError:
            continue
        if abs(plan.after.macs / plan.before.macs / share - 1) <= MET:
            found[stream, width] = netslim.apply(dense, plan)
    return found


def measured(arguments: argparse.Namespace, threads: int, precision: Precision) -> list[Row]:
    """A row for each network, all trained in turns."""
    torch.set_num_threads(threads)
    models = networks(arguments.depth, arguments.share)
    steps = {name: netslim_step(model, precision) for name, model in models.items()}
    images, labels = random_batch(arguments.batch)
    seconds: dict[tuple[str, str], list[float]] = {name: [] for name in steps}
    for number in range(FIRST + STEPS):
        for name, step in steps.items():
            start = time.perf_counter()
            float(step(images, labels).loss)
            if number >= FIRST:
                seconds[name].append(time.perf_counter() - start)
    medians = {name: quartiles(found)["median"] for name, found in seconds.items()}
    dense = medians["whole", "unpruned"]
    return [
        {
            "depth": arguments.depth, "share": arguments.share, "batch": arguments.batch, "threads": threads,
            "precision": precision.name, "stream": stream, "widths": width,
            "params": sum(parameter.numel() for parameter in models[stream, width].parameters()),
            "ms": 1e3 * median, "time": median / dense,
        }
        for (stream, width), median in medians.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path("results/widths.csv"))
    arguments = parser.parse_args()
    keep_freed_memory()
    rows = []
    for threads, precision in product(arguments.threads, ("fp32", "bf16")):
        rows += measured(arguments, threads, Precision(precision, channels_last=True))
    write_rows(arguments.out, rows)


if __name__ == "__main__":
    main()
