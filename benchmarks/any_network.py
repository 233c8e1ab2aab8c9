"""Every CNN of torchvision and a selection of timm's, pruned from an example input alone: does all of it hold?

    python benchmarks/any_network.py [--models REGEX] [--list] [--percents 0.3 0.5 0.7] [--again] [--out FILE]

The networks are listed by program: torchvision's classifiers that have BatchNorm, and of every module of timm one
network per series of names (`resnext`, `seresnext`, ...): the first whose weights are mostly those of convolutions, and
that has less than 60 M of them; and some by name. They get random weights, and scales, shifts and statistics
of normalisations that are random too; those without scales of single channels are pruned by `group_l2_norm`. One row
per network and share of channels, written at once; the same command goes on where it was cut off, and tries again what
did not pass. `--again` measures all anew.

`verify_difference` is between masked and rebuilt network relative to each output's own size (two noise images), where
that is above 1e-5 once more in double precision, which tells rounding from a channel in the wrong place. `alive`: the
pruned network's outputs are finite and differ between the images. `backward`: a training step's gradients are all
finite. `export`: torch.export of the rebuilt network at 50 %, run again. `smallest` is the least number of channels
that a group keeps. `plan_seconds` (with the derivation of the groups at the first share only) and `apply_seconds` are
CPU time on one thread, which is what it takes on a machine with nothing else to do.
"""

import argparse
import copy
import gc
import re
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
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
from netslim.core.networks.scale_norms import ScaleNorm, scale_norms
from netslim.pruning.verify import TOLERANCE, Agreement
from table import rows_of_these_versions, write_rows

PERCENTS = (0.3, 0.5, 0.7)
EXPORTED = 0.5
SEED = 0
CONVOLUTIONAL = 0.6  # least share of the parameters before the classifier that convolutions have
SIDES = (64, 96)  # of the images; networks that insist on a size get theirs
LARGEST = 60e6  # parameters of a network of timm
MORE = {"nf_resnet50", "resnet50_gn", "resnetv2_50x1_bit"}  # normalised otherwise than others of their series
PATIENCE = 3  # series of a module of timm that do not qualify, after which it is taken for one of transformers
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=re.compile, default=re.compile(""), help="only `library/name`s that match")
    parser.add_argument("--percents", type=float, nargs="+", default=PERCENTS)
    parser.add_argument("--list", action="store_true", help="print the networks and stop")
    parser.add_argument("--again", action="store_true", help="also what is in the file already")
    parser.add_argument("--out", type=Path, default=Path("results/any_network.csv"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = networks(arguments.models)
    if arguments.list:
        for entry in chosen:
            print(*entry, flush=True)
        return
    rows = {key(row): row for row in rows_of_these_versions(arguments.out)}
    for library, family, model in chosen:
        wanted = [p for p in arguments.percents if arguments.again or not passed(rows.get((library, model, f"{p:g}")))]
        for row in measured(library, family, model, wanted):
            print(*(f"{name}={value}" for name, value in row.items() if value != ""), flush=True)
            rows[key(row)] = row
            write_rows(arguments.out, sorted(rows.values(), key=order), show=False)
        gc.collect()
    print(f"{len(rows)} rows, of which {sum(map(passed, rows.values()))} pass or are refused")


def key(row: Row) -> tuple[str, str, str]:
    return row["library"], row["model"], f"{float(row['percent']):g}"


def order(row: Row) -> tuple[str, ...]:
    """torchvision first."""
    return "" if row["library"] == "torchvision" else row["library"], row["family"], *key(row)[1:]


def passed(row: Row | None) -> bool:
    return row is not None and row["ok"] != "no"


def networks(pattern: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
    """(library, family, name) of all networks whose `library/name` matches."""
    for name in torchvision_models.list_models(module=torchvision_models):
        if not pattern.search(f"torchvision/{name}"):
            continue
        try:
            with torch.device("meta"):
                network = build("torchvision", name)
        except NotImplementedError:  # widths of RegNets are computed from numbers
            network = build("torchvision", name)
        found = ("torchvision", type(network).__name__.lower(), name) if norms(network) else None
        del network
        if found:
            yield found
    for module in timm.list_modules():
        names = timm.list_models(module=module)
        if any(pattern.search(f"timm/{name}") for name in names):
            found = (("timm", module, name) for name in (*one_per_series(names), *sorted(MORE.intersection(names))))
            yield from (entry for entry in found if pattern.search(f"timm/{entry[2]}"))


def one_per_series(names: Sequence[str]) -> Iterator[str]:
    """Of each series of names the first convolutional network that is not too large."""
    series = defaultdict(list)
    for name in names:
        series[re.match("[a-z]*", name)[0]].append(name)  # type: ignore[index]
    misses = 0
    for members in series.values():
        found = next((name for name in members[:4] if qualifies(name)), None)
        misses = 0 if found else misses + 1
        if found:
            yield found
        if misses == PATIENCE:
            return


def qualifies(name: str) -> bool:
    """Whether a network of timm is convolutional, and of a size that can be tried."""
    try:
        with torch.device("meta"):
            network = timm.create_model(name)
    except Exception:  # some can't be built without numbers
        return False
    weights = {"all": 0, "convolutions": 0}
    head = {id(parameter) for parameter in network.get_classifier().parameters()} if classifier(network) else set()
    for module in network.modules():
        size = sum(p.numel() for p in module.parameters(recurse=False) if id(p) not in head)
        weights["all"] += size
        weights["convolutions"] += size if isinstance(module, nn.Conv2d) else 0
    return CONVOLUTIONAL * weights["all"] < weights["convolutions"] < LARGEST


def classifier(network: nn.Module) -> bool:
    return isinstance(getattr(network, "get_classifier", lambda: None)(), nn.Module)


def build(library: str, model: str) -> nn.Module:
    torch.manual_seed(SEED)
    if library == "torchvision":
        network: nn.Module = torchvision_models.get_model(model, weights=None)
    else:
        network = timm.create_model(model)
    return network


def image_size(library: str, network: nn.Module) -> int:
    """The side of the images: a network that takes no small ones gets its own."""
    own = network.default_cfg["input_size"][-1] if library == "timm" else 299  # Inception's
    for side in (*SIDES, 224, own):
        try:
            with torch.no_grad():
                network.train()(torch.zeros(2, 3, side, side))
        except Exception:  # noqa: S112  (too small, or not what the network was built for)
            continue
        return int(side)
    raise RuntimeError("runs at no size")


def measured(library: str, family: str, model: str, percents: Sequence[float]) -> Iterator[Row]:
    """The lines of the CSV for one network."""
    if not percents:
        return
    names = ("side", "params", "macs", "pruned_params", "pruned_macs", "groups", "channels", "kept", "smallest", "left")
    more = ("verify_difference", "verify_difference_float64", "alive", "backward", "export")
    network, images, failure = None, torch.empty(0), ""
    try:
        network, images = prepared(library, model)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
    for percent in percents:
        row = {"library": library, "family": family, "model": model, "percent": percent, "seed": SEED}
        row |= dict.fromkeys((*names, *more, "plan_seconds", "apply_seconds"), "")
        try:
            row |= numbers(network, images, percent) if network is not None else {}
            wrong = faults(row) if network is not None else [failure]
            row |= {"ok": "no" if wrong else "yes", "reason": "; ".join(wrong)}
        except NetslimError as error:
            row |= {"ok": "refused", "reason": str(error)}
        except Exception as error:
            row |= {"ok": "no", "reason": f"{type(error).__name__}: {error}"[:200].replace("\n", " ")}
        yield row


def prepared(library: str, model: str) -> tuple[nn.Module, Tensor]:
    """The network with random numbers, and two noise images."""
    network = build(library, model)
    side = image_size(library, network)
    images = torch.randn(2, 3, side, side)
    randomise_(network, images)
    return network, images


def faults(row: Row) -> list[str]:
    """What did not come out as it should."""
    wrong = []
    if not (row["verify_difference_float64"] or row["verify_difference"]) <= TOLERANCE:
        wrong.append(f"masked and rebuilt network differ by more than {TOLERANCE:g} of the largest output")
    wrong += [f"{name} fails" for name in ("alive", "backward", "export") if row[name] == "no"]
    wrong += [f"no fewer {name}" for name in ("params", "macs") if row[f"pruned_{name}"] >= row[name]]
    return wrong


def numbers(network: nn.Module, images: Tensor, percent: float) -> Row:
    """The numbers of one network at one share."""
    start = time.process_time()
    criterion = "bn_scale" if norms(network) else "group_l2_norm"
    plan = netslim.plan(network, images, percent=percent, criterion=criterion)
    planned = time.process_time()
    small = netslim.apply(network, plan)
    applied = time.process_time()
    return {
        "side": images.shape[-1],
        "params": plan.before.params,
        "macs": plan.before.macs,
        "pruned_params": plan.after.params,
        "pruned_macs": plan.after.macs,
        "groups": len(plan.groups),
        "channels": plan.total,
        "kept": plan.kept,
        "smallest": min(len(group.keep) for group in plan.groups),
        "left": sum(part.channels for part in plan.left_alone),
        **differences(network, small, images),
        "alive": said(is_alive(small, images)),
        "export": said(exports(small, images)) if percent == EXPORTED else "",
        "backward": said(learns(small, images)),
        "plan_seconds": planned - start,
        "apply_seconds": applied - planned,
    }


def said(answer: bool) -> str:
    return "yes" if answer else "no"


def differences(network: nn.Module, small: nn.Module, images: Tensor) -> Row:
    """Between masked and rebuilt network, relative to the largest output; in double precision where float is short."""
    single = netslim.verify(network, small, images)
    found = {"verify_difference": worst(single)}
    if not single.agrees:
        double = netslim.verify(copy.deepcopy(network).double(), copy.deepcopy(small).double(), images.double())
        found["verify_difference_float64"] = worst(double)
    return found


def worst(agreement: Agreement) -> float:
    """The largest difference of all outputs, each relative to its own size."""
    return max(output.relative for output in agreement.outputs)


def is_alive(network: nn.Module, images: Tensor) -> bool:
    """Whether outputs are finite and depend on the image."""
    with torch.inference_mode():
        outputs = first(network.eval()(images))
    return bool(outputs.isfinite().all()) and not torch.equal(outputs[0], outputs[1])


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
        if isinstance(norm, _BatchNorm):
            norm.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
    network.eval()


def norms(network: nn.Module) -> list[ScaleNorm]:
    return [*scale_norms(network).values()]


if __name__ == "__main__":
    main()
