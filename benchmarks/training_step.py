"""Images per second of a whole training step: the original implementation against netslim.

    python benchmarks/training_step.py CHECKOUT [--out results/training_step.csv] [--rounds 7] [--steps 5]

CHECKOUT is a clone of the original network-slimming scripts (Eric-mingjie). Only its `models/` is imported, as it is;
the step around it does what its `main.py` does. netslim is measured in fp32 and in the precision that its own probe
picks. Every measurement is a fresh process, the sides take turns round by round, and a round counts with the median of
its steps.
"""

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.processes.allocator import keep_freed_memory
from netslim.models import create_model
from netslim.training.optimizer import build_sgd
from netslim.training.penalties.l1 import L1Penalty
from netslim.training.precision import EXACT, Precision
from netslim.training.precision_probe import choose_precision
from netslim.training.step import TrainStep
from table import quartiles, write_rows

STRENGTH = 1e-5
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}
WARM_UP = 2
SIZE = 32

Step = Callable[[Tensor, Tensor], object]


def original_step(checkout: Path, depth: int) -> Step:
    """The original's network, and what its `main.py` does with a batch under `-sr`."""
    sys.path.insert(0, str(checkout))
    model: nn.Module = importlib.import_module("models").resnet(depth=depth, dataset="cifar10")
    optimizer = torch.optim.SGD(model.parameters(), **SGD)
    model.train()

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad()
        output = model(images)
        loss = F.cross_entropy(output, labels)
        output.data.max(1, keepdim=True)
        loss.backward()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.grad.data.add_(STRENGTH * torch.sign(module.weight.data))
        optimizer.step()

    return step


def netslim_step(model: nn.Module, precision: Precision, **options: Any) -> TrainStep:
    """netslim's step on a network, in a process that is set up as `netslim train` does."""
    keep_freed_memory()
    precision.arrange_(model.train())
    penalty = L1Penalty(model, STRENGTH)
    return TrainStep(model, build_sgd(model, **SGD), precision=precision, penalty=penalty, **options)


def seconds_per_step(step: Step, batch: int, steps: int) -> float:
    """Median of `steps` steps on random images, after a warm-up."""
    images, labels = random_batch(batch)
    seconds = []
    for _ in range(WARM_UP + steps):
        start = time.perf_counter()
        step(images, labels)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[WARM_UP:])


def random_batch(batch: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(batch, 3, SIZE, SIZE), torch.randint(10, (batch,))


def answer(arguments: argparse.Namespace) -> Any:
    """What one fresh process measures: seconds per step of a side, or for `probe` the precision that netslim picks."""
    side, depth = arguments.side, arguments.depth
    if side == "probe":
        chosen = choose_precision("auto", create_model("resnet", depth=depth), *random_batch(arguments.batch))
        return ["netslim", chosen.name, chosen.channels_last]
    name, dtype, channels_last = json.loads(side)
    if name == "original":
        return seconds_per_step(original_step(arguments.checkout, depth), arguments.batch, arguments.steps)
    step = netslim_step(create_model("resnet", depth=depth), Precision(dtype, channels_last))
    return seconds_per_step(step, arguments.batch, arguments.steps)


def ask(arguments: argparse.Namespace, side: Any) -> Any:
    """The answer of a fresh process."""
    command = [sys.executable, __file__, str(arguments.checkout), "--side", side]
    command += ["--depth", str(arguments.depth), "--batch", str(arguments.batch), "--steps", str(arguments.steps)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def compare(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per side, with quartiles over the rounds and the ratio to the original in the same round."""
    sides = [["original", "fp32", False], ["netslim", EXACT.name, EXACT.channels_last]]
    chosen = ask(arguments, "probe")
    sides += [] if chosen in sides else [chosen]
    rounds = [[ask(arguments, json.dumps(side)) for side in sides] for _ in range(arguments.rounds)]
    return [
        row(arguments, side, [r[i] for r in rounds], [r[0] for r in rounds], chosen) for i, side in enumerate(sides)
    ]


def row(
    arguments: argparse.Namespace, side: list[Any], seconds: list[float], original: list[float], chosen: list[Any]
) -> dict[str, Any]:
    name, dtype, channels_last = side
    speeds = quartiles([arguments.batch / s for s in seconds])
    ratios = quartiles([o / s for o, s in zip(original, seconds, strict=True)])
    return {
        "side": name,
        "precision": dtype,
        "layout": "channels_last" if channels_last else "contiguous",
        "picked_by_probe": side == chosen,
        "depth": arguments.depth,
        "batch": arguments.batch,
        "size": SIZE,
        "rounds": arguments.rounds,
        "steps": arguments.steps,
        **{f"images_per_second_{key}": value for key, value in speeds.items()},
        **{f"times_original_{key}": value for key, value in ratios.items()},
        "original_commit": original_commit(arguments.checkout),
    }


def original_commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results/training_step.csv"))
    parser.add_argument("--depth", type=int, default=164)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7, help="at least 2")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(answer(arguments)))
    else:
        write_rows(arguments.out, compare(arguments))


if __name__ == "__main__":
    main()
