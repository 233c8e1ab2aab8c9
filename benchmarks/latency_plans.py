"""Plans for a latency in a deployed engine: is the time what was asked for and predicted, what importance is left?

    python benchmarks/latency_plans.py [--networks REGEX] [--threads 1,2] [--batches 1,16] [--asked 2]
                                       [--engine onnxruntime] [--int8] [--out results/latency_plans.csv]

Per network, threads and batch: `netslim.plan(..., target_latency=1/asked, engine=...)`, then three other ways to prune
at the same measured time: the same share of every layer (`uniform`), one ranking cut by MACs (`macs`), and
Torch-Pruning's BNScalePruner (`torch_pruning`, global). Each of these is pruned at several strengths; all networks are
run in turns with the dense one and ours, and what a way keeps at our time lies on the line between its two nearest.

`importance` is the share of the sum of |gamma| over all BatchNorms that is left in the network. Weights and scales are
random (no training): the scales of a layer are uniform around a mean that differs from layer to layer. `speed_up` is
over the dense network, lower quartiles of calls in turns; `error` is |predicted - measured| / measured of the plan's
last network; `gain` is our importance over the way's. `fastest` is the greatest speed-up of a way's networks: where it
is below ours, its importance is that of its fastest network.

What is in the file already is not measured again. Needs torch_pruning and segmentation_models_pytorch.
"""

import argparse
import copy
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch_pruning
import torchvision
from torch import Tensor, nn

import netslim
from netslim.core.errors import NetslimError
from table import rows_of_these_versions, write_rows

STRENGTHS = (0.25, 0.45, 0.65, 0.85)  # share of channels that goes, or of MACs
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network; `options` are keywords of `netslim.plan` for ours."""

    name: str
    build: Callable[[], nn.Module]
    side: int
    options: Mapping[str, Any]


def preresnet(depth: int) -> Callable[[], nn.Module]:
    return lambda: netslim.create_model("resnet", depth=depth, num_classes=10)


def unet() -> nn.Module:
    import segmentation_models_pytorch

    network: nn.Module = segmentation_models_pytorch.Unet("resnet18", encoder_weights=None, classes=3)
    return network


COUPLE = {"residual": "couple"}
BLOCKS = {"min_channels": 0}
CASES = (
    Case(name="resnet-20", build=preresnet(20), side=32, options=COUPLE),
    Case(name="resnet-29", build=preresnet(29), side=32, options=COUPLE),
    Case(name="resnet-164", build=preresnet(164), side=32, options=COUPLE),
    Case(name="resnet-164 blocks", build=preresnet(164), side=32, options=BLOCKS),
    Case(name="mobilenet_v2", build=torchvision.models.mobilenet_v2, side=224, options={}),
    Case(name="resnet50", build=torchvision.models.resnet50, side=224, options={}),
    Case(name="regnet_y_400mf", build=torchvision.models.regnet_y_400mf, side=224, options={}),
    Case(name="unet-resnet18", build=unet, side=128, options={}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=re.compile, default=re.compile(""), help="only those whose name matches")
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--batches", type=numbers, default=[1, 16])
    parser.add_argument("--asked", type=numbers, default=[2], help="speed-ups")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("results/latency_plans.csv"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    engine = partial(netslim.Engine, arguments.engine, int8=arguments.int8)
    called = arguments.engine + " int8" * arguments.int8
    rows = rows_of_these_versions(arguments.out)
    for case in filter(lambda case: arguments.networks.search(case.name), CASES):
        for threads in arguments.threads:
            for batch in arguments.batches:
                for asked in arguments.asked:
                    place = {"network": case.name, "engine": called, "threads": threads, "batch": batch, "asked": asked}
                    if not any(all(str(row[key]) == str(value) for key, value in place.items()) for row in rows):
                        here = engine(threads=threads, batch_size=batch)
                        rows += [{**place, **row} for row in compared(case, here, asked)]
                        write_rows(arguments.out, rows, show=False)
    said(rows)


def numbers(text: str) -> list[float]:
    return [int(part) if part.isdecimal() else float(part) for part in text.split(",")]


def compared(case: Case, engine: netslim.Engine, asked: float) -> list[Row]:
    """The lines of the CSV for one place: ours, then the other ways."""
    network, example = randomised(case.build()), torch.zeros(2, 3, case.side, case.side)
    start = time.perf_counter()
    try:
        plan = netslim.plan(network, example, target_latency=1 / asked, engine=engine, **case.options)
    except NetslimError as error:
        return [{**blank(), "way": "latency", "said": str(error)}]
    seconds = time.perf_counter() - start
    budget = plan.budget
    assert budget
    assert budget.predicted
    small = netslim.apply(network, plan)
    others = {f"{way} {strength}": other for way, strength, other in pruned(case, network, example)}
    calls = {
        name: engine.call(other, example) for name, other in {"dense": network, "latency": small, **others}.items()
    }
    times = {name: taken.lower_quartile for name, taken in engine.time(calls).items()}
    kept = importance(small) / importance(network)
    ours = {
        **blank(),
        "way": "latency",
        "planned": budget.dense / budget.reached,
        "speed_up": times["dense"] / times["latency"],
        "error": abs(budget.predicted - budget.reached) / budget.reached,
        "importance": kept,
        "macs_left": plan.after.macs / plan.before.macs,
        "seconds": seconds,
        "said": "; ".join(plan.notes),
    }
    found = [ours]
    for way in WAYS:
        points = [
            (times[name] / times["dense"], importance(other) / importance(network))
            for name, other in others.items()
            if name.startswith(f"{way} ")
        ]
        if points:
            left = at_time(points, times["latency"] / times["dense"])
            fastest = 1 / min(points)[0]
            found.append({**blank(), "way": way, "importance": left, "gain": kept / left, "fastest": fastest})
        else:
            found.append({**blank(), "way": way, "said": "it can't prune this network"})
    return found


def blank() -> Row:
    names = ("way", "planned", "speed_up", "error", "importance", "gain", "fastest", "macs_left", "seconds", "said")
    return dict.fromkeys(names, "")


def at_time(points: Sequence[tuple[float, float]], share: float) -> float:
    """The importance at a share of the dense network's time, between (time, importance) and the dense network."""
    line = [*sorted(points), (1.0, 1.0)]
    for (low, first), (high, last) in pairwise(line):
        if low <= share <= high:
            return first + (last - first) * (share - low) / max(high - low, 1e-9)
    return line[0][1]


def pruned(case: Case, network: nn.Module, example: Tensor) -> Iterator[tuple[str, float, nn.Module]]:
    """(way, strength, network) for all that can be done."""
    for way, prune in WAYS.items():
        for strength in STRENGTHS:
            try:
                yield way, strength, prune(case, network, example, strength).eval()
            except Exception as error:  # whatever Torch-Pruning raises
                print(f"{case.name}: {way} {strength}: {type(error).__name__}: {error}"[:200], flush=True)


def by_share(case: Case, network: nn.Module, example: Tensor, strength: float) -> nn.Module:
    options = {key: value for key, value in case.options.items() if key == "residual"}
    return netslim.apply(network, netslim.plan(network, example, percent=strength, per_layer=True, **options))


def by_macs(case: Case, network: nn.Module, example: Tensor, strength: float) -> nn.Module:
    return netslim.apply(network, netslim.plan(network, example, target_macs=1 - strength, **case.options))


def by_torch_pruning(case: Case, network: nn.Module, example: Tensor, strength: float) -> nn.Module:  # noqa: ARG001
    copied = copy.deepcopy(network)
    last = [module for module in copied.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    pruner = torch_pruning.pruner.BNScalePruner(
        copied,
        example,
        importance=torch_pruning.importance.BNScaleImportance(),
        pruning_ratio=strength,
        global_pruning=True,
        ignored_layers=[last],
    )
    pruner.step()
    copied(example)
    return copied


WAYS = {"uniform": by_share, "macs": by_macs, "torch_pruning": by_torch_pruning}


def importance(network: nn.Module) -> float:
    """The sum of |gamma|."""
    return sum(float(m.weight.detach().abs().sum()) for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def randomised(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            mean = float(torch.empty(()).uniform_(0.3, 1))
            nn.init.uniform_(module.weight, 0.05, 2 * mean)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def said(rows: Sequence[Row]) -> None:
    ours = [row for row in rows if row["way"] == "latency" and row["error"] != ""]
    if ours:
        errors = sorted(float(row["error"]) for row in ours)
        good = sum(0.95 <= float(row["planned"]) / float(row["asked"]) <= 1.05 for row in ours)
        print(
            f"{len(ours)} plans: median error of the prediction {errors[len(errors) // 2]:.1%}; {good} as fast as asked"
        )


if __name__ == "__main__":
    main()
