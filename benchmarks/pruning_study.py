"""What is left right after pruning, and after equal fine-tuning: netslim, the original's rule, Torch-Pruning.

    python benchmarks/pruning_study.py after --networks runs/*/model_best.pth.tar --data-dir cifar10-jpeg
    python benchmarks/pruning_study.py tuned --networks runs/*/model_best.pth.tar --data-dir cifar10-jpeg
    python benchmarks/pruning_study.py table --out results/pruning_after.csv results/pruning_tuned.csv

`--networks` are files of `netslim train -sr`, one per seed. All methods start from the same trained network and get the
same MACs: those that the original's rule leaves after 40, 50, 60 and 70 % of the channels went (after), or a half and a
third of the dense network's (tuned). Every finished row is appended to rows.jsonl in `--work`, and those that are there
are skipped: start as many processes as there are cores, over different files. Accuracies are on 5,000 test images,
which choose nothing; `held_out` is on 1,000 of the images that the training held out.
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

import netslim
from netslim.core.checkpoint import read_checkpoint
from netslim.core.protocols import PrunableModel
from netslim.core.runs.seeding import seed_torch
from netslim.data import ImageDataset, Split, TrainBatches, evaluation_batches, load_dataset, split_validation
from netslim.stages.shared.calibration_data import training_images
from netslim.training.distillation import Teacher
from netslim.training.evaluate import evaluate
from netslim.training.optimizer import build_sgd
from netslim.training.penalties import no_penalty
from netslim.training.penalties.strength import Progress
from netslim.training.precision import Precision
from netslim.training.schedule import rate_factor
from netslim.training.step import TrainStep
from table import write_rows

PERCENTS = (0.4, 0.5, 0.6, 0.7)
SHARES = (1 / 2, 1 / 3)  # of the dense network's MACs
TEST_IMAGES, HELD_OUT_IMAGES = 5000, 1000
CALIBRATION = 20  # batches of 128
BATCH_SIZE, WEIGHT_DECAY = 64, 1e-4


def main() -> None:
    args = parse()
    {"after": after, "tuned": tuned, "table": write_tables}[args.command](args)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["after", "tuned", "table"])
    parser.add_argument("--networks", type=Path, nargs="+", default=[])
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--data-name", default="", help="what the table calls the images; default: the data set's name")
    parser.add_argument("--methods", nargs="+", help="only these")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="of the dense network's MACs")
    parser.add_argument("--epochs", type=int, default=4, help="of fine-tuning; steps at half and three quarters")
    parser.add_argument("--images", type=int, help="training images of fine-tuning; default: all")
    parser.add_argument("--work", type=Path, default=Path("runs/pruning"))
    parser.add_argument("--out", type=Path, nargs=2)
    return parser.parse_args()


@dataclass(frozen=True, eq=False)
class Case:
    """A trained network, its images, and what its rows are called."""

    model: PrunableModel
    dataset: ImageDataset
    held_out: Split
    images: list[Tensor]
    name: dict[str, Any]

    @property
    def example(self) -> Tensor:
        """Two of the images."""
        return self.images[0][:2]

    def macs(self, model: nn.Module) -> int:
        """MACs of a network for one of the images."""
        return netslim.measure(model, self.example[:1]).macs


def cases(args: argparse.Namespace) -> Iterator[Case]:
    for path in args.networks:
        checkpoint = read_checkpoint(path)
        seed, facts = checkpoint.provenance["config"]["seed"], checkpoint.dataset
        dataset = load_dataset(facts["name"], args.data_dir)
        dataset = replace(dataset, mean=tuple(facts["mean"]), std=tuple(facts["std"]))
        train, held_out = split_validation(dataset.train, 0.1, seed)
        train = part_of(train, args.images) if args.images else train
        dataset = replace(dataset, train=train, test=part_of(dataset.test, TEST_IMAGES))
        model = netslim.load(path)
        name = {"data": args.data_name or facts["name"], "depth": model.arch.arguments["depth"], "seed": seed}
        yield Case(
            model, dataset, part_of(held_out, HELD_OUT_IMAGES), training_images(dataset, CALIBRATION, seed), name
        )


def part_of(split: Split, count: int) -> Split:
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:count]
    return Split(split.images[order], split.labels[order])


# Ways to prune to a number of MACs


def ours(case: Case, macs: float, *, absorb: bool = True, recalibrate: bool = True, **options: Any) -> nn.Module:
    """netslim's plan for these MACs, what was removed absorbed, the statistics estimated anew."""
    plan = netslim.plan(case.model, case.example, target_macs=macs, **options)
    small = netslim.apply(case.model, plan)
    if absorb:
        netslim.absorb_(small, case.model, case.example)
    if recalibrate:
        netslim.recalibrate_(small, case.images)
    return small


original = partial(ours, absorb=False, recalibrate=False)  # bn_scale, each block its own inputs, the shift thrown away


def torch_pruning_bn_scale(case: Case, macs: float, *, recalibrate: bool = False) -> nn.Module:
    """Torch-Pruning's BNScalePruner at the ratio that gives these MACs; the classifier's outputs stay."""
    low, high = 0.0, 1.0
    small = case.model
    for _ in range(9):
        ratio = (low + high) / 2
        small = copy.deepcopy(case.model)
        torch_pruning.pruner.BNScalePruner(
            small, case.example, importance=torch_pruning.importance.BNScaleImportance(), global_pruning=True,
            pruning_ratio=ratio, ignored_layers=[small.fc],
        ).step()  # fmt: skip
        low, high = (ratio, high) if case.macs(small) > macs else (low, ratio)
    if recalibrate:
        netslim.recalibrate_(small, case.images)
    return small


AFTER: dict[str, Callable[[Case, float], nn.Module]] = {
    "original rule": original,
    "original rule, statistics re-estimated": partial(ours, absorb=False),
    "original rule, shift kept": partial(ours, recalibrate=False),
    "original rule, both": ours,
    "netslim": partial(ours, criterion="bn_scale_macs"),
    "netslim, coupled": partial(ours, criterion="bn_scale_macs", residual="couple"),
    "Torch-Pruning BNScale": torch_pruning_bn_scale,
    "Torch-Pruning BNScale, statistics re-estimated": partial(torch_pruning_bn_scale, recalibrate=True),
}


def after(args: argparse.Namespace) -> None:
    """Accuracies before any fine-tuning."""
    for case in cases(args):
        dense = {"method": "dense", "percent": 0.0}
        record(args, "after", case, dense, lambda case=case: case.model)
        for percent in PERCENTS:
            macs = netslim.plan(case.model, case.example, percent=percent).after.macs
            for method, build in AFTER.items():
                if not args.methods or method in args.methods:
                    row = {"method": method, "percent": percent}
                    record(args, "after", case, row, partial(build, case, macs))


# Fine-tuning


@dataclass(frozen=True)
class Recipe:
    """How a pruned network comes about and is trained: netslim's way, of which one part at a time is changed."""

    prune: Callable[[Case, float], nn.Module]
    schedule: str = "onecycle"
    lr: float = 0.1
    teacher: float = 0.5
    rounds: int = 1


BEST: dict[str, Any] = {"criterion": "bn_scale_macs"}
STEP = {"schedule": "step", "teacher": 0.0}
TUNED = {
    "original rule": Recipe(original, **STEP),
    "Torch-Pruning BNScale": Recipe(torch_pruning_bn_scale, **STEP),
    "netslim": Recipe(partial(ours, **BEST)),
    "original rule, rate 0.02": Recipe(original, lr=0.02, **STEP),
    "Torch-Pruning BNScale, rate 0.02": Recipe(torch_pruning_bn_scale, lr=0.02, **STEP),
}
ABLATION = {
    "netslim, no teacher": Recipe(partial(ours, **BEST), teacher=0.0),
    "netslim, step schedule": Recipe(partial(ours, **BEST), schedule="step"),
    "netslim, step schedule at 0.02": Recipe(partial(ours, **BEST), schedule="step", lr=0.02),
    "netslim, rate 0.02": Recipe(partial(ours, **BEST), lr=0.02),
    "netslim, no absorption": Recipe(partial(ours, absorb=False, **BEST)),
    "netslim, statistics not re-estimated": Recipe(partial(ours, recalibrate=False, **BEST)),
    "netslim, scale alone": Recipe(ours),
    "netslim, coupled": Recipe(partial(ours, residual="couple", **BEST)),
    "netslim, two rounds": Recipe(partial(ours, **BEST), rounds=2),
    "original rule, fine-tuned as netslim": Recipe(original),
    "original rule, fine-tuned as netslim, rate 0.02": Recipe(original, lr=0.02),
    "from scratch, netslim's shape": Recipe(lambda case, macs: fresh(ours(case, macs, **BEST), case)),
}


def fresh(small: nn.Module, case: Case) -> nn.Module:
    """The same shape with new weights; selections stay."""
    seed_torch(case.name["seed"], "init")
    for module in small.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d | nn.Linear):
            module.reset_parameters()
    return small


def tuned(args: argparse.Namespace) -> None:
    """Accuracies after equal fine-tuning."""
    for share in args.shares:
        for case in cases(args):
            for method, recipe in {**TUNED, **ABLATION}.items():
                if args.methods is None or method in args.methods:
                    row = {"method": method, "share": round(share, 4), "epochs": args.epochs}
                    macs = share * case.macs(case.model)
                    record(args, "tuned", case, row, partial(fit, case, recipe, macs, args.epochs))


def fit(case: Case, recipe: Recipe, macs: float, epochs: int) -> nn.Module:
    """Prunes and fine-tunes, in rounds that keep the same share of what they have and the same number of epochs."""
    model, dense = case.model, case.macs(case.model)
    for number in range(1, recipe.rounds + 1):
        target = dense * (macs / dense) ** (number / recipe.rounds)
        model = recipe.prune(replace(case, model=model), target)
        fine_tune(model, case, recipe, epochs // recipe.rounds)
    return model


def fine_tune(model: nn.Module, case: Case, recipe: Recipe, epochs: int) -> None:
    precision = Precision("bf16", channels_last=True)
    precision.arrange_(model)
    teacher = Teacher(copy.deepcopy(case.model), weight=recipe.teacher) if recipe.teacher else None
    optimizer = build_sgd(model, lr=recipe.lr, momentum=0.9, weight_decay=WEIGHT_DECAY)
    step = TrainStep(model, optimizer, precision=precision, penalty=no_penalty(model), teacher=teacher)
    run_epochs(step, case.dataset, recipe.schedule, lr=recipe.lr, epochs=epochs, seed=case.name["seed"])


def run_epochs(step: TrainStep, dataset: ImageDataset, schedule: str, *, lr: float, epochs: int, seed: int) -> None:
    """Trains on the data set's training images, from the first epoch to the last."""
    batches = TrainBatches(dataset.train, dataset, batch_size=BATCH_SIZE, seed=seed, device="cpu")
    step.model.train()
    for epoch in range(epochs):
        for number, (images, labels) in enumerate(batches.epoch(epoch)):
            part = number / len(batches)
            rate = rate_factor(schedule, epoch, epochs, part)
            for group in step.optimizer.param_groups:
                group["lr"] = lr * rate
            step.penalty.advance(Progress(done=epoch + part, epochs=epochs, rate=rate))
            step(images, labels)


# Rows


def record(
    args: argparse.Namespace, study: str, case: Case, row: dict[str, Any], build: Callable[[], nn.Module]
) -> None:
    """Builds a network, measures it and appends its row, unless that was done."""
    key = {"study": study, **case.name, **row, "images": len(case.dataset.train)}
    path = args.work / "rows.jsonl"
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if any(key.items() <= line.items() for line in known):
        return
    clock = time.perf_counter()
    model = build()
    found = {
        "macs_share": case.macs(model) / case.macs(case.model),
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "top1": accuracy(model, case, case.dataset.test),
        "held_out": accuracy(model, case, case.held_out),
        "seconds": time.perf_counter() - clock,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps({**key, **found}) + "\n")
    print(key, found, flush=True)


def accuracy(model: nn.Module, case: Case, split: Split) -> float:
    model.to(memory_format=torch.channels_last)
    return evaluate(model, evaluation_batches(split, case.dataset, batch_size=256, device="cpu")).top1


def write_tables(args: argparse.Namespace) -> None:
    rows = [json.loads(line) for line in (args.work / "rows.jsonl").read_text().splitlines()]
    for study, out in zip(("after", "tuned"), args.out, strict=True):
        of = [row for row in rows if row["study"] == study]
        names = ("data", "depth", *(("percent",) if study == "after" else ("images", "epochs", "share")), "method")
        order = ["dense", *(AFTER if study == "after" else {**TUNED, **ABLATION})]
        of.sort(
            key=lambda row: (-row["depth"], row.get("percent", 0), -row.get("share", 0), order.index(row["method"]))
        )
        keys = dict.fromkeys(tuple(row.get(name) for name in names) for row in of)
        write_rows(out, [summary(names, key, [r for r in of if tuple(r.get(n) for n in names) == key]) for key in keys])


def summary(names: tuple[str, ...], key: tuple[Any, ...], rows: list[dict[str, Any]]) -> dict[str, Any]:
    values = {name: [row[name] for row in rows] for name in ("top1", "held_out", "macs_share", "params")}
    spread = {name: statistics.stdev(of) if len(of) > 1 else "" for name, of in values.items()}
    return {
        **dict(zip(names, key, strict=True)),
        "seeds": " ".join(str(seed) for seed in sorted(row["seed"] for row in rows)),
        "top1": statistics.mean(values["top1"]),
        "sd": spread["top1"],
        "held_out": statistics.mean(values["held_out"]),
        "macs_share": statistics.mean(values["macs_share"]),
        "params": round(statistics.mean(values["params"])),
    }


if __name__ == "__main__":
    main()
