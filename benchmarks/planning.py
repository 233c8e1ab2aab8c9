"""Seconds that pruning itself takes: the plan, and the small network from it.

    python benchmarks/planning.py [--models REGEX] [--out results/planning.csv]

The guide's network, and torchvision's classifiers that have BatchNorm at 224 px, all with random weights and half of
the channels to go. What is loaded at the first use is in no row: a small network goes before. CPU time on one thread,
which is what it takes on a machine with nothing else to do.
"""

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models as torchvision_models

import netslim
from any_network import networks
from table import write_rows

PERCENT = 0.5
SIDES = {"inception_v3": 299}


def candidates(pattern: re.Pattern[str]) -> dict[str, tuple[Callable[[], nn.Module], int]]:
    """What builds each network, and the side of its images."""
    found: dict[str, tuple[Callable[[], nn.Module], int]] = {
        "netslim/resnet-164": (lambda: netslim.create_model("resnet", depth=164), 32)
    }
    for library, _, name in networks(re.compile("^torchvision/")):
        build = torchvision_models.get_model_builder(name)
        found[f"{library}/{name}"] = (build, SIDES.get(name, 224))
    return {name: each for name, each in found.items() if pattern.search(name)}


def seconds(build: Callable[[], nn.Module], side: int) -> dict[str, float]:
    """CPU time of plan and surgery."""
    torch.manual_seed(0)
    model, example = build().eval(), torch.zeros(1, 3, side, side)
    start = time.process_time()
    plan = netslim.plan(model, example, percent=PERCENT)
    planned = time.process_time()
    netslim.apply(model, plan)
    applied = time.process_time()
    return {"plan_seconds": planned - start, "apply_seconds": applied - planned, "seconds": applied - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=re.compile, default=re.compile(""), help="only `library/name`s that match")
    parser.add_argument("--out", type=Path, default=Path("results/planning.csv"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seconds(torchvision_models.resnet18, 64)
    rows: list[dict[str, Any]] = []
    for name, each in candidates(arguments.models).items():
        rows.append({"network": name, "percent": PERCENT, "side": each[1], **seconds(*each)})
        write_rows(arguments.out, rows, show=False)
        print(f"{name}: {rows[-1]['seconds']:.2f} s", flush=True)


if __name__ == "__main__":
    main()
