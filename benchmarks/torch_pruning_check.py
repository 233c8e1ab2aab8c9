"""The same channels removed by netslim and by Torch-Pruning: do parameters and outputs agree, and if not, who is right?

    python benchmarks/torch_pruning_check.py [--models REGEX] [--again] [--out results/torch_pruning_check.csv]

Per network the first, the middle and the last channel group that netslim derives: every other channel of it goes. Of
Torch-Pruning's dependency graph the same outputs of the group's first convolution or linear layer are pruned. Both are
held against the masked reference, the unpruned network in which these channels give zero, in double precision.

One layer that netslim leaves alone (and that gives no output of the network) is pruned by Torch-Pruning too; its
reference has zeros wherever its own group removes outputs. Where that agrees, netslim is more careful than it would
have to be.

`verdict`, `right` and `reason` follow from the numbers; `*_difference` is relative to the largest output.
"""

import argparse
import copy
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

import netslim
from any_network import build, first, image_size, randomise_
from netslim.core.protocols import ChannelGroup, GroupPlan, PrunePlan
from netslim.dependency.find_groups import find_groups
from netslim.pruning import masked
from netslim.pruning.plan_data import inputs_of
from netslim.pruning.verify import TOLERANCE
from table import rows_of_these_versions, write_rows

TORCHVISION = (
    *("resnet18", "resnet50", "resnext50_32x4d", "densenet121", "googlenet", "inception_v3", "mobilenet_v2"),
    *("mobilenet_v3_small", "efficientnet_b0", "mnasnet0_5", "shufflenet_v2_x0_5", "regnet_x_400mf", "regnet_y_400mf"),
    "vgg11_bn",
)
TIMM = (
    *("dla46_c", "dpn48b", "ghostnet_050", "res2net50_14w_8s", "skresnet18", "ese_vovnet19b_slim"),
    *("cs3darknet_focus_s", "repvgg_a0", "hrnet_w18_small", "selecsls42", "mixnet_s", "xception41p", "lcnet_050"),
    "efficientvit_b1",
)
OUTPUT = "is an output of the network"
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=re.compile, default=re.compile(""))
    parser.add_argument("--again", action="store_true", help="also what is in the file already")
    parser.add_argument("--out", type=Path, default=Path("results/torch_pruning_check.csv"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = rows_of_these_versions(arguments.out)
    for library, models in (("torchvision", TORCHVISION), ("timm", TIMM)):
        for model in filter(arguments.models.search, models):
            old = [row for row in rows if (row["library"], row["model"]) == (library, model)]
            if old and not arguments.again:
                continue
            rows = [row for row in rows if row not in old] + list(compared(library, model))
            write_rows(arguments.out, rows, show=False)
    print(f"{len(rows)} rows: " + ", ".join(f"{sum(r['right'] == who for r in rows)} {who}" for who in RIGHT))


def compared(library: str, model: str) -> Iterator[Row]:
    """The lines of the CSV for one network."""
    network = build(library, model)
    images = torch.randn(2, 3, *[image_size(library, network)] * 2)
    randomise_(network, images)
    network, images = network.double(), images.double()
    plan = netslim.plan(network, images, percent=0.5, residual="couple")
    derivation = find_groups(network, inputs_of(plan))
    known = {group.name: group for group in derivation.groups}
    names = [part.name for part in plan.groups if producer(network, known[part.name])]
    head = {"library": library, "model": model, "seed": 0, "torch_pruning": torch_pruning.__version__}
    for name in dict.fromkeys([names[0], names[len(names) // 2], names[-1]]):
        yield head | said(of_a_group(network, plan, known[name], images))
    left = next((part for part in derivation.left_alone if part.reason != OUTPUT), None)
    if left is not None:
        yield head | said(of_a_left_layer(network, left.name, left.reason, images))


def producer(network: nn.Module, group: ChannelGroup) -> tuple[str, list[list[int]]] | None:
    """The first layer that gives the group's channels, and its outputs per channel."""
    for part in group.slices:
        name, _, tensor = part.tensor.rpartition(".")
        if tensor == "weight" and part.dim == 0 and isinstance(network.get_submodule(name), nn.Conv2d | nn.Linear):
            return name, part.positions.tolist()
    return None


def of_a_group(network: nn.Module, plan: PrunePlan, group: ChannelGroup, images: Tensor) -> Row:
    """Half of a group, removed by both."""
    found = producer(network, group)
    assert found
    name, positions = found
    keep = tuple(range(0, len(positions), 2))
    alone = replace(plan, groups=(GroupPlan(name=group.name, total=len(positions), keep=keep),))
    gone = [entry for channel, entries in enumerate(positions) if channel not in keep for entry in entries]
    ours, expected = netslim.apply(network, alone), answers(masked(network, alone), images)
    row = {"group": group.name, "layer": name, "removed": len(gone), "of": sum(map(len, positions)), "left_alone": ""}
    row |= {"params": params(network), "ours": params(ours), "ours_difference": apart(ours, expected, images)}
    theirs = copy.deepcopy(network)
    return row | attempt(lambda: torch_group(theirs, name, gone, images).prune(), theirs, expected, images)


def of_a_left_layer(network: nn.Module, name: str, reason: str, images: Tensor) -> Row:
    """Half of a layer that netslim leaves alone, removed by Torch-Pruning."""
    theirs, reference = copy.deepcopy(network), copy.deepcopy(network)
    width = len(network.get_submodule(name).weight)
    gone = list(range(1, width, 2))
    row = {"group": "", "layer": name, "removed": len(gone), "of": width, "left_alone": reason}
    row |= {"params": params(network), "ours": params(network), "ours_difference": 0.0}
    names = {module: key for key, module in theirs.named_modules()}
    try:
        group = torch_group(theirs, name, gone, images)
        for dependency, entries in group:
            layer = dependency.target.module
            if layer in names and isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d) and gives(dependency):
                silence_(reference.get_submodule(names[layer]), entries)
    except Exception as error:
        return row | failure(error)
    return row | attempt(group.prune, theirs, answers(reference, images), images)


def torch_group(network: nn.Module, name: str, gone: list[int], images: Tensor) -> Any:
    """What Torch-Pruning would remove together with these outputs of a layer."""
    graph = torch_pruning.DependencyGraph().build_dependency(network, example_inputs=images)
    layer = network.get_submodule(name)
    return graph.get_pruning_group(layer, graph.get_pruner_of_module(layer).prune_out_channels, gone)


def gives(dependency: Any) -> bool:
    """Whether outputs are pruned there, not inputs."""
    return "out_channels" in dependency.handler.__name__


def silence_(layer: nn.Module, entries: list[int]) -> None:
    with torch.no_grad():
        for tensor in (layer.weight, layer.bias):
            if tensor is not None:
                tensor[entries] = 0


def attempt(prune: Any, theirs: nn.Module, expected: Tensor, images: Tensor) -> Row:
    """What comes of Torch-Pruning's network."""
    try:
        prune()
        return {"theirs": params(theirs), "theirs_difference": apart(theirs, expected, images), "error": ""}
    except Exception as error:
        return failure(error)


def failure(error: Exception) -> Row:
    return {"theirs": "", "theirs_difference": "", "error": f"{type(error).__name__}: {error}".split("\n")[0][:160]}


RIGHT = ("both", "netslim", "torch-pruning", "neither")


def said(row: Row) -> Row:
    """Verdict and reason from the numbers."""
    ours = row["ours_difference"] <= TOLERANCE
    theirs = row["error"] == "" and row["theirs_difference"] <= TOLERANCE
    right = {(1, 1): "both", (1, 0): "netslim", (0, 1): "torch-pruning", (0, 0): "neither"}[ours, theirs]
    if row["error"]:
        verdict, reason = "torch-pruning fails", row["error"]
    elif not theirs:
        verdict = "torch-pruning's network computes something else"
        reason = f"{row['theirs_difference']:.1e} of the largest output away from the masked reference"
    elif row["left_alone"]:
        verdict, reason = "netslim is more careful", f"{row['left_alone']}; without the channels it works too"
    elif row["ours"] == row["theirs"]:
        verdict, reason = "agree", ""
    else:
        more, less = sorted([("netslim", row["ours"]), ("torch-pruning", row["theirs"])], key=lambda each: each[1])
        verdict, reason = f"{more[0]} removes more", f"{less[1] - more[1]} parameters more, same outputs"
    return {**row, "right": right, "verdict": verdict, "reason": reason}


def answers(network: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return first(network.eval()(images))


def apart(network: nn.Module, expected: Tensor, images: Tensor) -> float:
    return float((answers(network, images) - expected).abs().max() / expected.abs().max().clamp(min=1))


def params(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


if __name__ == "__main__":
    main()
