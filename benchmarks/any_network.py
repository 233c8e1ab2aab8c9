"""Every CNN of torchvision and a selection of timm's, pruned from an example input alone: does all of it hold?

    python benchmarks/any_network.py [--models REGEX] [--list] [--percents 0.3 0.5 0.7] [--out results/any_network.csv]

The networks are listed by program: torchvision's classifiers that have BatchNorm, and of every family (module) of
timm the smallest networks whose weights are mostly those of convolutions and that have BatchNorm. They get random
weights, and BatchNorm scales, shifts and statistics that are random too. One row per network and share of channels:

`verify_difference` is between masked and rebuilt network relative to the largest output (two noise images), once more
in double precision, which tells rounding from a channel in the wrong place; `backward` is a training step's gradients,
all of them finite; `export` is torch.export of the rebuilt network, run again. `smallest` is the least number of
channels that a group keeps. `plan_seconds` and `apply_seconds` are wall time on one thread.
"""

import argparse
import gc
import re
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves
from torchvision import models as torchvision_models

import netslim
from netslim.core.errors import NetslimError
from netslim.pruning.verify import TOLERANCE
from table import write_rows

PERCENTS = (0.3, 0.5, 0.7)
PER_FAMILY = 3
CONVOLUTIONAL = 0.6  # least share of the parameters before the classifier that convolutions have
SIDE = 96  # of the images; networks that insist on a size get theirs
LARGEST = 60e6  # parameters of a network of timm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=re.compile, default=re.compile(""), help="only networks whose name matches")
    parser.add_argument("--percents", type=float, nargs="+", default=PERCENTS)
    parser.add_argument("--list", action="store_true", help="print the networks and stop")
    parser.add_argument("--no-export", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("results/any_network.csv"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = [(library, family, model) for library, family, model in networks() if arguments.models.search(model)]
    if arguments.list:
        print(*(" ".join(entry) for entry in chosen), sep="\n")
        return
    rows = []
    for library, family, model in chosen:
        for percent in arguments.percents:
            rows.append(row(library, family, model, percent, export=not arguments.no_export))
            print(*(f"{key}={value}" for key, value in rows[-1].items() if value != ""), flush=True)
            gc.collect()
    passed = sum(found["ok"] == "yes" for found in rows)
    families = {(found["library"], found["family"]) for found in rows}
    print(f"{len(chosen)} networks of {len(families)} families, {len(rows)} rows, of which {passed} pass")
    write_rows(arguments.out, rows)


def networks() -> list[tuple[str, str, str]]:
    """(library, family, name) of all networks."""
    found = []
    for name in torchvision_models.list_models(module=torchvision_models):
        network = build("torchvision", name)
        if norms(network):
            found.append(("torchvision", type(network).__name__.lower(), name))
    return found + timm_networks()


def timm_networks() -> list[tuple[str, str, str]]:
    """The smallest convolutional networks of each family of timm."""
    families = defaultdict(list)
    for name in timm.list_models():
        try:
            with torch.device("meta"):
                network = timm.create_model(name)
        except Exception:  # noqa: S112  (some can't be built without numbers)
            continue
        weights = {"all": 0, "convolutions": 0}
        head = {id(parameter) for parameter in network.get_classifier().parameters()} if classifier(network) else set()
        for module in network.modules():
            size = sum(p.numel() for p in module.parameters(recurse=False) if id(p) not in head)
            weights["all"] += size
            weights["convolutions"] += size if isinstance(module, nn.Conv2d) else 0
        if norms(network) and weights["convolutions"] > CONVOLUTIONAL * weights["all"] and weights["all"] < LARGEST:
            family = type(network).__module__.rpartition(".")[2]
            families[family].append((weights["all"], name))
    return [("timm", family, name) for family in sorted(families) for _, name in sorted(families[family])[:PER_FAMILY]]


def classifier(network: nn.Module) -> bool:
    return isinstance(getattr(network, "get_classifier", lambda: None)(), nn.Module)


def build(library: str, model: str) -> nn.Module:
    torch.manual_seed(0)
    if library == "torchvision":
        network: nn.Module = torchvision_models.get_model(model, weights=None)
    else:
        network = timm.create_model(model)
    return network


def image_size(library: str, network: nn.Module) -> int:
    """The side of the images: a network that takes no other gets its own."""
    own = network.default_cfg["input_size"][-1] if library == "timm" else 224
    for side in (SIDE, own):
        try:
            with torch.no_grad():
                network.train()(torch.zeros(2, 3, side, side))
        except Exception:  # noqa: S112  (too small, or not what the network was built for)
            continue
        return int(side)
    raise RuntimeError("runs at no size")


def row(library: str, family: str, model: str, percent: float, *, export: bool) -> dict[str, Any]:
    """One line of the CSV."""
    keys = ("side", "params", "macs", "pruned_params", "pruned_macs", "groups", "channels", "kept", "smallest", "left")
    more = ("verify_difference", "verify_difference_float64", "backward", "export", "plan_seconds", "apply_seconds")
    found = {"library": library, "family": family, "model": model, "percent": percent, **dict.fromkeys(keys + more, "")}
    try:
        found |= numbers(library, model, percent, export=export)
    except NetslimError as error:
        return {**found, "ok": "refused", "reason": str(error)[:200]}
    except Exception as error:
        return {**found, "ok": "no", "reason": f"{type(error).__name__}: {error}"[:200].replace("\n", " ")}
    wrong = faults(found)
    return {**found, "ok": "no" if wrong else "yes", "reason": "; ".join(wrong)}


def faults(found: dict[str, Any]) -> list[str]:
    """What did not come out as it should."""
    wrong = []
    if not min(found["verify_difference"], found["verify_difference_float64"]) <= TOLERANCE:
        wrong.append(f"masked and rebuilt network differ by more than {TOLERANCE:g} of the largest output")
    wrong += [f"{key} fails" for key in ("backward", "export") if found[key] == "no"]
    wrong += [f"no fewer {key}" for key in ("params", "macs") if found[f"pruned_{key}"] >= found[key]]
    return wrong


def numbers(library: str, model: str, percent: float, *, export: bool) -> dict[str, Any]:
    """The numbers of one network at one share."""
    network = build(library, model)
    side = image_size(library, network)
    images = torch.randn(2, 3, side, side)
    randomise_(network, images)
    start = time.perf_counter()
    plan = netslim.plan(network, images, percent=percent)
    planned = time.perf_counter()
    small = netslim.apply(network, plan)
    applied = time.perf_counter()
    agreement = netslim.verify(network, small, images)
    precise = netslim.verify(network.double(), small.double(), images.double())
    small.float()
    return {
        "side": side,
        "params": plan.before.params,
        "macs": plan.before.macs,
        "pruned_params": plan.after.params,
        "pruned_macs": plan.after.macs,
        "groups": len(plan.groups),
        "channels": plan.total,
        "kept": plan.kept,
        "smallest": min(len(group.keep) for group in plan.groups),
        "left": sum(part.channels for part in plan.left_alone),
        "verify_difference": agreement.max_difference / agreement.scale,
        "verify_difference_float64": precise.max_difference / precise.scale,
        "backward": "yes" if learns(small, images) else "no",
        "export": ("yes" if exports(small, images) else "no") if export else "",
        "plan_seconds": planned - start,
        "apply_seconds": applied - planned,
    }


def learns(network: nn.Module, images: Tensor) -> bool:
    """Whether a training step reaches every parameter that takes part, with finite gradients."""
    outputs = [leaf for leaf in tree_leaves(network.train()(images)) if isinstance(leaf, Tensor)]
    torch.stack([output.square().mean() for output in outputs]).sum().backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    network.zero_grad()
    return bool(gradients) and all(bool(gradient.isfinite().all()) for gradient in gradients)


def exports(network: nn.Module, images: Tensor) -> bool:
    """Whether the exported network gives the same outputs."""
    network.eval()
    program = torch.export.export(network, (images,), strict=False).module()
    with torch.inference_mode():
        return torch.allclose(first(program(images)), first(network(images)), rtol=1e-4, atol=1e-4)


def first(outputs: Any) -> Tensor:
    return next(leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor))


def randomise_(network: nn.Module, images: Tensor) -> None:
    """Random scales and shifts, and the statistics that then arise on `images`."""
    for norm in norms(network):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
    network.eval()


def norms(network: nn.Module) -> list[_BatchNorm]:
    return [module for module in network.modules() if isinstance(module, _BatchNorm) and module.affine]


if __name__ == "__main__":
    main()
