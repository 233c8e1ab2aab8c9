"""Holds the code against a recording of an earlier version: what it decides, computes and writes, network by network.

    python benchmarks/unchanged.py record FOLDER      # with the version to compare with
    python benchmarks/unchanged.py compare FOLDER     # with the version at hand

Recorded are, of every network with lively BatchNorms (seeded): the plan at 50 % of the channels with its groups, costs
and what is left alone; the logits of the pruned network, of the absorbed one and of the one made for inference. Of a
chain of commands (train, sparsity, prune in each form, refine): weights, metrics and plans. Comparing runs everything
again and opens the recorded files too. Numbers are compared bit by bit, so both runs need one machine.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torchvision import models as torchvision_models

import netslim

PERCENT = 0.5
TORCHVISION = (
    *("resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "densenet121", "googlenet", "shufflenet_v2_x1_0"),
    *("vgg11_bn", "regnet_y_400mf", "efficientnet_b0", "mnasnet0_5", "resnext50_32x4d", "inception_v3"),
)
TIMM = (
    "resnest14d",
    "res2net50d",
    "ghostnet_100",
    "levit_128s",
    "hrnet_w18_small",
    "dla34",
    "cspresnet50",
    "repvgg_a0",
)
OWN: dict[str, dict[str, Any]] = {
    "resnet-20": {"name": "resnet", "depth": 20},
    "resnet-20-couple": {"name": "resnet", "depth": 20, "residual": "couple"},
    "vgg-16": {"name": "vgg", "depth": 16},
    "densenet-22": {"name": "densenet", "depth": 22},
    "resnet18-cifar": {"name": "torchvision/resnet18", "stem": "cifar", "num_classes": 10},
}
TRAIN = ("--arch", "resnet", "--depth", "11", "--epochs", "2", "--batch-size", "128", "--precision", "fp32")
COMMANDS = {
    "dense": ("train", *TRAIN),
    "sparse": ("train", "-sr", "--s", "1e-3", "--resume", "dense/model_best.pth.tar", *TRAIN),
    "select": ("prune", "sparse/checkpoint.pth.tar", "--percent", "0.4"),
    "couple": ("prune", "sparse/checkpoint.pth.tar", "--target-macs", "0.5", "--residual", "couple"),
    "taylor": ("prune", "sparse/checkpoint.pth.tar", "--target-params", "0.6", "--criterion", "taylor"),
    "tuned": ("train", "--refine", "select/pruned.pth.tar", *TRAIN[:-6], "--epochs", "1", "--precision", "fp32"),
}


def lively_(model: nn.Module) -> nn.Module:
    """Scales, shifts and statistics as after a training; some scales negative."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            nn.init.uniform_(module.weight, 0.05, 1.5)
            module.weight.data[::3] *= -1
            nn.init.normal_(module.bias, std=0.1)
    return model.eval()


def builders() -> dict[str, tuple[Callable[[], nn.Module], int, dict[str, Any]]]:
    """By name: what builds a network, the side of its images, and arguments of its plan."""
    found: dict[str, tuple[Callable[[], nn.Module], int, dict[str, Any]]] = {}
    for name, own in OWN.items():
        arguments = {key: value for key, value in own.items() if key not in ("name", "residual")}
        residual = {"residual": own["residual"]} if "residual" in own else {}
        found[name] = (lambda own=own, a=arguments: netslim.create_model(own["name"], **a), 32, residual)
    for name in TORCHVISION:
        side = 299 if name == "inception_v3" else 96
        found[f"torchvision/{name}"] = (
            lambda name=name: torchvision_models.get_model(name, weights=None, **_quiet(name)),
            side,
            {},
        )
    for name in TIMM:
        found[f"timm/{name}"] = (lambda name=name: timm.create_model(name), 224 if "levit" in name else 96, {})
    return found


def _quiet(name: str) -> dict[str, Any]:
    return {"init_weights": False} if name in ("googlenet", "inception_v3") else {}


def digest(value: Tensor | str) -> str:
    """A short hash of numbers or of text."""
    data = value.detach().contiguous().numpy().tobytes() if isinstance(value, Tensor) else value.encode()
    return hashlib.sha256(data).hexdigest()[:16]


def network_record(build: Callable[[], nn.Module], side: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """What is decided and computed of one network."""
    torch.manual_seed(0)
    model, images = lively_(build()), torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    plan = netslim.plan(model, images, percent=PERCENT, **arguments)
    small = netslim.apply(model, plan).eval()
    with torch.no_grad():
        record = {
            "plan": digest(json.dumps(plan.to_dict(), sort_keys=True)),
            "kept": plan.kept,
            "cost": [plan.after.params, plan.after.macs],
            "logits": digest(_first(small(images))),
            "holds": netslim.verify(model, small, images).holds,
        }
        absorbed = netslim.absorb_(small, model, images)
        record["absorbed"] = [digest(_first(small(images))), len(absorbed.layers), len(absorbed.left)]
    try:
        with torch.inference_mode():
            record["for_inference"] = digest(_first(netslim.for_inference(small, images)(images)))
    except Exception as error:
        record["for_inference"] = type(error).__name__
    return record


def _first(outputs: Any) -> Tensor:
    return outputs if isinstance(outputs, Tensor) else outputs[0]


def command_records(folder: Path) -> dict[str, Any]:
    """What a chain of commands writes."""
    found: dict[str, Any] = {}
    for name, words in COMMANDS.items():
        given = ["--dataset", "digits", "--device", "cpu", "--save", name]
        subprocess.run([sys.executable, "-m", "netslim", *words, *given], cwd=folder, check=True, capture_output=True)
        found[name] = run_record(folder / name)
    return found


def run_record(folder: Path) -> dict[str, Any]:
    """Weights, plan and metrics in the folder of a run, opened by the version at hand."""
    record: dict[str, Any] = {}
    for path in sorted(folder.glob("*.pth.tar")):
        state = netslim.load(path).state_dict()
        record[path.name] = digest("".join(f"{key}{digest(value)}" for key, value in state.items()))
    if (folder / "plan.json").exists():
        record["plan.json"] = digest((folder / "plan.json").read_text())
    if (folder / "metrics.jsonl").exists():
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        timed = ("seconds", "images_per_second", "waiting")
        record["metrics"] = [{key: value for key, value in row.items() if key not in timed} for row in rows]
    return record


def record_all(folder: Path) -> dict[str, Any]:
    """Everything."""
    found: dict[str, Any] = {}
    for name, each in builders().items():
        found[name] = network_record(*each)
        print(f"{name}: {found[name]['kept']:,} channels stay", flush=True)
    return {"networks": found, "commands": command_records(folder)}


def differences(before: Any, after: Any, place: str = "") -> list[str]:
    """The places at which two records differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [line for key in keys for line in differences(before.get(key), after.get(key), f"{place}/{key}")]
    return [] if before == after else [f"{place}: {before} before, {after} now"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("record", "compare"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    target = arguments.folder / "record.json"
    work = arguments.folder / ("before" if arguments.verb == "record" else "now")
    work.mkdir(parents=True)
    found = record_all(work)
    if arguments.verb == "record":
        target.write_text(json.dumps(found, indent=1) + "\n")
        return
    before = json.loads(target.read_text())
    wrong = differences(before, json.loads(json.dumps(found)))
    opened = {name: run_record(arguments.folder / "before" / name) for name in COMMANDS}
    wrong += differences(before["commands"], json.loads(json.dumps(opened)), "earlier files")
    print("\n".join(wrong) or f"{len(found['networks'])} networks and {len(COMMANDS)} runs are as before")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
