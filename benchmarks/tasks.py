"""Networks for tasks beyond classification, pruned whole and used as their users do: does all of it hold?

    python benchmarks/tasks.py [--models REGEX] [--list] [--percents 0.3 0.5 0.7] [--again] [--out FILE]

All of torchvision's networks for segmentation, detection and video, 20 combinations of segmentation-models-pytorch
(where it is installed), and 40 of timm's `features_only=True` backbones with BatchNorm, drawn by a fixed seed. They get
random weights, lively BatchNorms and small inputs; detectors run whole, with their post-processing and their losses.
One row per network and share of channels, written at once; the same command goes on where it was cut off, and tries
again what did not pass. `--again` measures all anew.

`verify_difference` is as in `any_network.py`; for detectors it is taken in double precision at once (boxes that nearly
touch), over what they give and what their decisions are taken on. `reloaded`: the file alone and an unpruned network
give the same outputs to the bit. `trained`: all gradients of one training step are finite. `export` (at 50 %):
`netslim.export` to ONNX, run and compared, or why there is no file. `criterion` is `l1_norm` for networks in which
BatchNorm scores too little or nothing.
"""

import argparse
import copy
import functools
import gc
import random
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import timm
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torchvision import models as torchvision_models
from torchvision.models.video import mvit

import netslim
from any_network import norms
from netslim.core.errors import NetslimError
from netslim.core.networks.example import tensors_of
from netslim.pruning.verify import TOLERANCE
from table import rows_of_these_versions, write_rows

PERCENTS = (0.3, 0.5, 0.7)
EXPORTED = 0.5
SEED = 0
BACKBONES = 40
LARGEST = 60e6  # parameters of a backbone
SMP = {
    "Unet": ("resnet18", "mobilenet_v2", "efficientnet-b0", "vgg11_bn", "densenet121"),
    "UnetPlusPlus": ("resnet18", "timm-mobilenetv3_small_100"),
    "MAnet": ("resnet18",),
    "Linknet": ("resnet18", "mobilenet_v2"),
    "FPN": ("resnet18", "efficientnet-b0", "tu-regnetx_002"),
    "PSPNet": ("resnet18", "mobilenet_v2"),
    "PAN": ("resnet18",),
    "DeepLabV3": ("resnet18",),
    "DeepLabV3Plus": ("resnet18", "mobilenet_v2"),
    "UPerNet": ("resnet18",),
}
DETECTION = torchvision_models.detection
Row = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A network, how it is built, and what it takes: in evaluation, and in training."""

    task: str
    library: str
    model: str
    build: Callable[[], nn.Module]
    example: Callable[[], tuple[Any, ...]]
    targets: Callable[[], tuple[Any, ...]] = tuple
    criterion: str = "bn_scale"

    @property
    def key(self) -> str:
        """The name that `--models` is held against."""
        return f"{self.library}/{self.model}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=re.compile, default=re.compile(""), help="only `library/name`s that match")
    parser.add_argument("--percents", type=float, nargs="+", default=PERCENTS)
    parser.add_argument("--list", action="store_true", help="print the networks and stop")
    parser.add_argument("--again", action="store_true", help="also what is in the file already")
    parser.add_argument("--out", type=Path, default=Path("results/tasks.csv"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    known = networks()
    chosen = [entry for entry in known if arguments.models.search(entry.key)]
    if arguments.list:
        print(*(f"{entry.task} {entry.key}" for entry in chosen), sep="\n")
        return
    rows = {key(row): row for row in rows_of_these_versions(arguments.out)}
    order = {entry.key: number for number, entry in enumerate(known)}
    for entry in chosen:
        wanted = [p for p in arguments.percents if arguments.again or not passed(rows.get((entry.key, f"{p:g}")))]
        for row in measured(entry, wanted):
            print(*(f"{name}={value}" for name, value in row.items() if value != ""), flush=True)
            rows[key(row)] = row
            listed = sorted(rows.values(), key=lambda own: (order.get(key(own)[0], len(order)), key(own)))
            write_rows(arguments.out, listed, show=False)
        gc.collect()
    print(f"{len(rows)} rows, of which {sum(map(passed, rows.values()))} pass")


def key(row: Row) -> tuple[str, str]:
    return f"{row['library']}/{row['model']}", f"{float(row['percent']):g}"


def passed(row: Row | None) -> bool:
    return row is not None and row["ok"] == "yes"


def networks() -> list[Entry]:
    return [*segmenters(), *detectors(), *videos(), *smp_networks(), *backbones()]


def images(side: int, *depth: int) -> Callable[[], tuple[Any, ...]]:
    return lambda: (torch.randn(2, 3, *depth, side, side, generator=torch.Generator().manual_seed(SEED)),)


def segmenters() -> Iterator[Entry]:
    module = torchvision_models.segmentation
    for name in torchvision_models.list_models(module=module):
        yield Entry(
            "segmentation", "torchvision", name, lambda name=name: bare(module, name, aux_loss=None), images(64)
        )


def videos() -> Iterator[Entry]:
    module = torchvision_models.video
    for name in torchvision_models.list_models(module=module):
        transformer = "mvit" in name or "swin" in name
        example = images(224, 16) if name == "s3d" else images(64, 8)
        criterion = "l1_norm" if transformer else "bn_scale"
        build = small_mvit if "mvit" in name else functools.partial(bare, module)
        yield Entry("video", "torchvision", name, functools.partial(build, name), example, criterion=criterion)


def small_mvit(name: str) -> nn.Module:
    """One for 8 images of 64 pixels: its positions are parameters, and torchvision's functions fix their number."""
    build = mvit._mvit

    def smaller(**arguments: Any) -> nn.Module:
        network: nn.Module = build(**{**arguments, "spatial_size": (64, 64), "temporal_size": 8})
        return network

    with mock.patch.object(mvit, "_mvit", smaller):
        return bare(torchvision_models.video, name)


def bare(module: Any, name: str, **arguments: Any) -> nn.Module:
    known = {"weights_backbone": None} if module is not torchvision_models.video else {}
    network: nn.Module = getattr(module, name)(weights=None, **known, **arguments)
    return network


def detectors() -> Iterator[Entry]:
    for name in torchvision_models.list_models(module=DETECTION):
        criterion = "bn_scale" if "ssdlite" in name else "l1_norm"

        def build(name: str = name) -> nn.Module:
            classes = {} if "keypoint" in name else {"num_classes": 5}
            network = bare(DETECTION, name, **classes)
            if "ssd300" not in name:  # whose anchors need its size
                network.transform.min_size, network.transform.max_size = (96,), 96
            if "rcnn" in name:  # fewer boxes to look at, for speed
                network.rpn._pre_nms_top_n = network.rpn._post_nms_top_n = {"training": 50, "testing": 50}
            return network

        yield Entry("detection", "torchvision", name, build, two_images, lambda name=name: targets(name), criterion)


def two_images() -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(SEED)
    return ([torch.rand(3, *size, generator=generator) for size in ((96, 96), (72, 96))],)


def targets(name: str) -> tuple[Any, ...]:
    found = []
    for image in two_images()[0]:
        boxes = torch.tensor([[10.0, 10, 40, 50], [20, 30, 60, 60]])
        target = {"boxes": boxes, "labels": torch.ones(2, dtype=torch.int64)}
        if "mask" in name:
            target["masks"] = torch.ones(2, *image.shape[1:], dtype=torch.uint8)
        if "keypoint" in name:
            target["keypoints"] = torch.full((2, 17, 3), 35.0)
        found.append(target)
    return (found,)


def smp_networks() -> Iterator[Entry]:
    try:
        import segmentation_models_pytorch as smp
    except ImportError:
        print("segmentation-models-pytorch is not installed: left out")
        return
    for kind, encoders in SMP.items():
        for encoder in encoders:
            build = lambda kind=kind, encoder=encoder: getattr(smp, kind)(encoder, encoder_weights=None, classes=3)  # noqa: E731
            side = 128 if kind == "PAN" else 64  # which pools the deepest features three times
            yield Entry("segmentation", "smp", f"{kind}-{encoder}", build, images(side))


def backbones() -> Iterator[Entry]:
    """Drawn among all that qualify; building on shapes tells, without weights."""
    names = timm.list_models()
    random.Random(SEED).shuffle(names)  # noqa: S311
    found = 0
    for name in names:
        if found < BACKBONES and qualifies(name):
            found += 1
            build = lambda name=name: timm.create_model(name, features_only=True)  # noqa: E731
            yield Entry("features", "timm", name, build, lambda name=name: images(input_side(name))())


def qualifies(name: str) -> bool:
    """Whether it can be a features_only backbone of convolutions with BatchNorm, of a size that can be tried."""
    try:
        with torch.device("meta"):
            network = timm.create_model(name, features_only=True)
    except Exception:  # many can't
        return False
    sizes = [(module, sum(p.numel() for p in module.parameters(recurse=False))) for module in network.modules()]
    total = sum(size for _, size in sizes)
    return bool(norms(network)) and 0.6 * total < sum(s for m, s in sizes if isinstance(m, nn.Conv2d)) < LARGEST


@functools.cache
def input_side(name: str) -> int:
    """The least of a few sides at which it runs."""
    network = timm.create_model(name, features_only=True).eval()
    for side in (64, 224, 256):
        try:
            with torch.no_grad():
                network(torch.zeros(1, 3, side, side))
        except Exception:  # noqa: S112  (it was built for another size)
            continue
        return side
    return int(timm.get_pretrained_cfg(name).input_size[-1])


def measured(entry: Entry, percents: list[float]) -> Iterator[Row]:
    """The lines of the CSV for one network."""
    if not percents:
        return
    names = ("criterion", "params", "macs", "pruned_params", "pruned_macs", "groups", "channels", "kept", "left")
    more = ("verify_difference", "verify_difference_float64", "reloaded", "trained", "export")
    network, failure = None, ""
    try:
        network = prepared(entry)
    except Exception as error:
        failure = described(error)
    for percent in percents:
        row = {"task": entry.task, "library": entry.library, "model": entry.model, "percent": percent, "seed": SEED}
        row |= dict.fromkeys((*names, *more, "plan_seconds", "apply_seconds"), "")
        try:
            if network is None:
                raise RuntimeError(failure)
            row |= numbers(entry, network, percent)
            wrong = faults(row)
            row |= {"ok": "no" if wrong else "yes", "reason": "; ".join(wrong)}
        except NetslimError as error:
            row |= {"ok": "refused", "reason": str(error)}
        except Exception as error:
            row |= {"ok": "no", "reason": described(error)}
        yield row


def described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200].replace("\n", " ")


def prepared(entry: Entry) -> nn.Module:
    """The network with random numbers, and the statistics that arise on its example."""
    torch.manual_seed(SEED)
    network = entry.build()
    for norm in norms(network):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(*entry.example(), *entry.targets())
    return network.eval()


def numbers(entry: Entry, network: nn.Module, percent: float) -> Row:
    """The numbers of one network at one share."""
    start = time.process_time()
    criterion, plan = planned_by(entry, network, percent)
    planned = time.process_time()
    small = netslim.apply(network, plan)
    applied = time.process_time()
    return {
        "criterion": criterion,
        "params": plan.before.params,
        "macs": plan.before.macs,
        "pruned_params": plan.after.params,
        "pruned_macs": plan.after.macs,
        "groups": len(plan.groups),
        "channels": plan.total,
        "kept": plan.kept,
        "left": sum(part.channels for part in plan.left_alone),
        **differences(entry, network, small),
        "reloaded": said(reloads(entry, small)),
        "export": exported(entry, small) if percent == EXPORTED else "",
        "trained": said(learns(entry, small)),
        "plan_seconds": planned - start,
        "apply_seconds": applied - planned,
    }


def planned_by(entry: Entry, network: nn.Module, percent: float) -> tuple[str, netslim.PrunePlan]:
    """The plan, and its criterion: where BatchNorm scores nothing, the message says to take another."""
    example = (*entry.example(), *entry.targets())
    try:
        return entry.criterion, netslim.plan(network, example, percent=percent, criterion=entry.criterion)
    except NetslimError as refusal:
        if "criteria that work without" not in str(refusal):
            raise
    return "l1_norm", netslim.plan(network, example, percent=percent, criterion="l1_norm")


def said(answer: bool) -> str:
    return "yes" if answer else "no"


def faults(row: Row) -> list[str]:
    """What did not come out as it should; an export that the exporter itself does not offer is told, and no fault."""
    wrong = []
    if not (row["verify_difference_float64"] or row["verify_difference"]) <= TOLERANCE:
        wrong.append(f"masked and rebuilt network differ by more than {TOLERANCE:g} of the largest output")
    wrong += [f"not {name}" for name in ("reloaded", "trained") if row[name] == "no"]
    wrong += [f"no fewer {name}" for name in ("params", "macs") if row[f"pruned_{name}"] >= row[name]]
    return wrong


def differences(entry: Entry, network: nn.Module, small: nn.Module) -> Row:
    """Between masked and rebuilt network, relative to each output; in double precision where float is short."""
    example, found = entry.example(), {}
    if entry.task != "detection" or "keypoint" in entry.model:  # which takes single precision only
        single = netslim.verify(network, small, example)
        found["verify_difference"] = max(output.relative for output in single.outputs)
        if single.agrees or entry.task == "detection":
            return found
    wide = tuple(torch.utils._pytree.tree_map(lambda leaf: leaf.double(), example))
    double = netslim.verify(copy.deepcopy(network).double(), copy.deepcopy(small).double(), wide)
    return found | {"verify_difference_float64": max(output.relative for output in double.outputs)}


def reloads(entry: Entry, small: nn.Module) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.pth.tar"
        netslim.save(path, small)
        torch.manual_seed(SEED + 1)
        loaded = netslim.load(path, model=entry.build())
    with torch.no_grad():
        outputs = [tensors_of(model.eval()(*entry.example())) for model in (small, loaded)]
    return all(torch.equal(tensor, outputs[1][name]) for name, tensor in outputs[0].items())


def learns(entry: Entry, small: nn.Module) -> bool:
    """Whether a training step reaches parameters, with finite gradients."""
    network = copy.deepcopy(small).train()
    outputs = network(*entry.example(), *entry.targets())
    leaves = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.requires_grad]
    torch.stack([leaf if leaf.dim() == 0 else leaf.square().mean() for leaf in leaves]).sum().backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    torch.optim.SGD(network.parameters(), 1e-4).step()
    return bool(gradients) and all(bool(gradient.isfinite().all()) for gradient in gradients)


def exported(entry: Entry, small: nn.Module) -> str:
    """Whether ONNX Runtime gives the same, or why there is no file."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            netslim.export(small.eval(), entry.example(), Path(folder) / "small.onnx")
        except Exception as error:  # exporters may raise anything
            return f"no: {described(error)}"
    return "yes"


if __name__ == "__main__":
    main()
