"""Every ResNet of torchvision and timm, made prunable: are the logits the same, and does its pruning hold?

    python benchmarks/exact_transfer.py [--models REGEX] [--out results/exact_transfer.csv]

One row per network. The source gets random weights, and BatchNorm scales, shifts and statistics that are random too, so
that no key can be left out unnoticed. `max_difference` is between the logits of the library's own network and of the
prunable one (two noise images, 224 x 224); `verify_difference` between masked and rebuilt network (64 x 64), relative
to the largest logit, and once more in double precision, which tells rounding from a channel in the wrong place; MACs
are for one image of 224 x 224. Networks without BatchNorm are listed as refused.
"""

import argparse
import gc
import re
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torchvision import models as torchvision_models

import netslim
from netslim.core.errors import UsageError
from netslim.models.registry import LIBRARIES
from netslim.pruning.verify import TOLERANCE
from table import write_rows

BUILDERS = {name: LIBRARIES.get(name).build for name in LIBRARIES.names()}
PERCENT = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=re.compile, default=re.compile(""), help="only networks whose name matches")
    parser.add_argument("--out", type=Path, default=Path("results/exact_transfer.csv"))
    arguments = parser.parse_args()
    rows = []
    for library, model in networks():
        if arguments.models.search(f"{library}/{model}"):
            rows.append(row(library, model))
            print(*(f"{key}={value}" for key, value in rows[-1].items() if value != ""), flush=True)
            gc.collect()
    normed = [found for found in rows if found["batchnorms"]]
    passed = sum(found["ok"] == "yes" for found in normed)
    print(f"{len(rows)} networks, {len(normed)} with BatchNorm, of which {passed} pass")
    write_rows(arguments.out, rows)


def networks() -> list[tuple[str, str]]:
    """All ResNets of the two libraries, with BatchNorm or not."""
    theirs = [name for name in torchvision_models.list_models(module=torchvision_models) if "resne" in name]
    ours = timm.list_models(module=["resnet", "resnetv2", "senet"])
    return [*(("torchvision", name) for name in theirs), *(("timm", name) for name in ours)]


def row(library: str, model: str) -> dict[str, Any]:
    """One line of the CSV."""
    with torch.device("meta"):
        batchnorms = len(norms(BUILDERS[library](model)))
    empty = dict.fromkeys(("params", "macs", "keys", "keys_mapped", "max_difference", "groups"), "")
    empty |= dict.fromkeys(("pruned_params", "pruned_macs", "verify_difference", "verify_difference_float64"), "")
    found = {"library": library, "model": model, "batchnorms": batchnorms, **empty}
    try:
        found |= exactness(library, model)
    except UsageError as error:
        return {**found, "ok": "no" if batchnorms else "refused", "reason": str(error).partition(":")[0]}
    except Exception as error:
        return {**found, "ok": "no", "reason": f"{type(error).__name__}: {error}"}
    wrong = faults(found)
    return {**found, "ok": "no" if wrong else "yes", "reason": "; ".join(wrong)}


def faults(found: dict[str, Any]) -> list[str]:
    """What did not come out as it should."""
    wrong = []
    if found["keys_mapped"] != found["keys"]:
        wrong.append("keys left out")
    if found["max_difference"] != 0:
        wrong.append("other logits")
    if found["groups"] and not found["verify_difference"] <= TOLERANCE:
        wrong.append(f"masked and rebuilt network differ by more than {TOLERANCE:g} of the largest logit")
    return wrong


@torch.inference_mode()
def exactness(library: str, model: str) -> dict[str, Any]:
    """The numbers of one network that can be pruned."""
    torch.manual_seed(0)
    target = netslim.create_model(f"{library}/{model}")
    source = BUILDERS[library](model)
    randomise_(source, torch.randn(4, 3, 64, 64))
    copied, report = netslim.transfer(source.state_dict(), target, "exact")
    images = torch.randn(2, 3, 224, 224)
    difference = float((source.eval()(images) - copied.eval()(images)).abs().max())
    del source, target
    numbers = {"keys": len(report.statuses), "keys_mapped": report.mapped, "max_difference": difference}
    groups = len(copied.channel_groups())
    if not groups:  # a ResNeXt: all its inner convolutions are grouped
        cost = netslim.measure(copied, images[:1])
        return {**numbers, "params": cost.params, "macs": cost.macs, "groups": 0}
    plan = netslim.plan(copied, images[:1], percent=PERCENT)
    pruned, small_images = netslim.apply(copied, plan), torch.randn(2, 3, 64, 64)
    agreement = netslim.verify(copied, pruned, small_images)
    precise = netslim.verify(copied.double(), pruned.double(), small_images.double())
    return {
        **numbers,
        "params": plan.before.params,
        "macs": plan.before.macs,
        "groups": groups,
        "pruned_params": plan.after.params,
        "pruned_macs": plan.after.macs,
        "verify_difference": agreement.max_difference / agreement.scale,
        "verify_difference_float64": precise.max_difference / precise.scale,
    }


def randomise_(network: nn.Module, images: Tensor) -> None:
    """Random scales and shifts, and the statistics that then arise on `images`, disturbed."""
    for norm in norms(network):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        norm.momentum = 1.0
    network.train()(images)
    for norm in norms(network):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean += 0.1 * torch.randn_like(norm.running_var) * norm.running_var.sqrt()
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


if __name__ == "__main__":
    main()
