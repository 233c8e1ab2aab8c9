"""MACs of many networks, held against `torch.utils.flop_counter`: half of its FLOPs but for products of activations.

    python benchmarks/mac_counts.py [--networks REGEX] [--out results/mac_counts.csv]

The classifiers of `any_network.py` and torchvision's networks for segmentation and video, whole, on shapes alone:
nothing is computed. Torch counts all products; those of activations with each other (attention) are told apart by what
their operands were made from, and counted by themselves.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models as torchvision_models

from any_network import build, networks
from netslim.core.networks.example import Inputs
from netslim.cost import count_products
from netslim.dependency.meta import skeleton
from netslim.dependency.meta_ops import ShapesOnly
from table import write_rows

SEGMENTATION = ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")
VIDEO = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d")


def candidates(pattern: re.Pattern[str]) -> Iterator[tuple[str, nn.Module, tuple[int, ...]]]:
    """Name, network and shape of its input."""
    for library, _, name in networks(pattern):
        network = build(library, name)
        config = getattr(network, "default_cfg", {}) or {}
        side = 299 if name == "inception_v3" else config.get("input_size", (3, 224, 224))[-1]
        yield f"{library}/{name}", network, (2, 3, side, side)
    for names, shape in ((SEGMENTATION, (2, 3, 224, 224)), (VIDEO, (2, 3, 16, 224, 224))):
        for name in names:
            if pattern.search(f"torchvision/{name}"):
                yield f"torchvision/{name}", torchvision_models.get_model(name, weights=None, **_quiet(name)), shape


def _quiet(name: str) -> dict[str, Any]:
    return {"weights_backbone": None} if name in SEGMENTATION else {}


def row(name: str, network: nn.Module, shape: tuple[int, ...]) -> dict[str, Any]:
    """Both counts for one call."""
    hollow, images = skeleton(network.eval()), torch.empty(shape, device="meta")
    with ShapesOnly():
        ours = count_products(hollow, Inputs.of(images))
    with torch.no_grad(), ShapesOnly(), FlopCounterMode(display=False) as counter:
        hollow(images)
    theirs = counter.get_total_flops() // 2
    return {
        "network": name,
        "shape": "x".join(map(str, shape)),
        "macs": ours.total,
        "of_activations": ours.activations,
        "counter": theirs,
        "equal": ours.total + ours.activations == theirs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=re.compile, default=re.compile(""), help="only `library/name`s that match")
    parser.add_argument("--out", type=Path, default=Path("results/mac_counts.csv"))
    arguments = parser.parse_args()
    rows = []
    for each in candidates(arguments.networks):
        rows.append(row(*each))
        print(
            f"{rows[-1]['network']}: {rows[-1]['macs']:,} {'as torch' if rows[-1]['equal'] else 'NOT as torch'}",
            flush=True,
        )
    write_rows(arguments.out, rows, show=False)
    print(f"{sum(each['equal'] for each in rows)} of {len(rows)} as torch counts")


if __name__ == "__main__":
    main()
