"""Recipes for `netslim slim` against each other at equal planned cost: what each part is worth.

Cost is counted, not timed: one epoch of training the dense network is 1; of the small one it is the share of MACs
that it keeps, and a teacher's forward pass adds a third. All recipes end at the same budget, on the same images, and
are judged on the test images; `small_val`, on images held out of the training, is what the default plan goes by. Rows
are added as recipes finish; run it again to go on.

Recipes that start from transferred weights have them from the demo's source, timm's `test_resnet` trained on all of
Fashion-MNIST: on part of its images they are no candidates. Those that start from a trained network have it from 24
epochs on the same images, which are not counted.

With `--imagenet FILE`, ImageNet's weights of timm's `tf_efficientnet_lite0`, the recipes are those of `IMAGENET`, which
start from that network, for images of `--image-size`.

    python benchmarks/slim_recipes.py --dataset digits --depth 11 --cost 12 --out results/slim_recipes.csv
    python benchmarks/slim_recipes.py --dataset fashion-mnist --images 6000 --data-dir DIR --out FILE
"""

import argparse
import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset_part import use_part
from netslim.stages.demo.run import SOURCE
from netslim.stages.slim.config import SlimConfig
from netslim.stages.slim.recipe import Recipe, Step, to_toml
from netslim.stages.slim.run import run
from netslim.stages.slim.step_folder import read_record
from table import write_rows

TRANSFER: dict[str, Any] = {"source": "timm", "model_name": "test_resnet", "weights": str(SOURCE)}
TEACHER = 1 / 3  # of an epoch of the dense network: its forward pass
DEFAULT: dict[str, Any] = {
    "before": 0.5,  # share of the cost that is spent before the pruning
    "penalty": {"sparsity_regularization": True, "s": 1e-3},
    "reconstruct": 512,
    "teacher": True,
    "schedule": "onecycle",
    "lr": 0.1,
    "tune_lr": 0.05,
    "rounds": 1,
    "prune": {},
    "train": {},  # more settings of both trainings
    "start": "",  # what comes before, and costs nothing: "transferred" or "trained"
}
PLAN: dict[str, Any] = {
    "teacher": False,
    "penalty": {"sparsity_regularization": True, "s": 2e-3, "penalty": "polarization"},
}
LATEST: dict[str, Any] = {  # `netslim slim` where no recipe is given, but for the batches
    "teacher": False,
    "before": 0.05,
    "penalty": {"sparsity_regularization": True, "s": 1e-4},
    "lr": 3e-3,
    "tune_lr": 3e-3,
    "train": {"optimizer": "adamw", "weight_decay": 0.01, "batch_size": 16, "label_smoothing": 0.1},
}
GENTLE: dict[str, Any] = PLAN | {"lr": 0.025, "tune_lr": 0.05, "train": {"batch_size": 16}}
SENSED: dict[str, Any] = {"criterion": "group_l2_norm", "allocation": "sensitivity"}
COUPLED: dict[str, Any] = {"residual": "couple", "round_to": 8}  # what `slim` takes with a trained network
KNOWN: dict[str, Any] = LATEST | {"start": "trained", "before": 0}
START: dict[str, tuple[Step, ...]] = {
    "transferred": (Step(name="moved", verb="transfer", settings=TRANSFER),),
    "trained": (
        Step(
            name="known",
            verb="train",
            settings={"epochs": 24, "lr": 3e-3, "schedule": "onecycle", "precision": "fp32", **LATEST["train"]},
        ),
    ),
    "": (),
}
HALVED: dict[str, Any] = KNOWN | {"start": "zero", "before": 0.125, "prune": {"criterion": "group_l2_norm", **COUPLED}}
IMAGENET: dict[str, dict[str, Any]] = {  # what `slim` does with a library's network, but for one thing
    "AdamW at 3e-3": HALVED,
    "random classifier, AdamW at 3e-3": HALVED | {"start": "random"},
    "class means, AdamW at 3e-3": HALVED | {"start": "means"},
    "AdamW at 1e-3": HALVED | {"lr": 1e-3, "tune_lr": 1e-3},
    "AdamW at 3e-4": HALVED | {"lr": 3e-4, "tune_lr": 3e-4},
    "half before, AdamW at 1e-3": HALVED | {"lr": 1e-3, "tune_lr": 1e-3, "before": 0.5},
    "SGD at 0.02": HALVED | {"lr": 0.02, "tune_lr": 0.02, "train": {"batch_size": 16, "label_smoothing": 0.1}},
}
RECIPES: dict[str, dict[str, Any]] = {
    "base": {},
    "strong penalty": {"penalty": {"sparsity_regularization": True, "s": 1e-2}},
    "no penalty": {"penalty": {}},
    "polarization": {"penalty": {"sparsity_regularization": True, "s": 2e-3, "penalty": "polarization"}},
    "no reconstruction": {"reconstruct": 0},
    "no teacher": {"teacher": False},
    "step schedule": {"schedule": "step"},
    "tuned at 0.02": {"tune_lr": 0.02},
    "two thirds before": {"before": 0.67},
    "two rounds": {"rounds": 2},
    "no teacher, a quarter before": {"teacher": False, "before": 0.25},
    "no teacher, a quarter before, tuned at 0.1": {"teacher": False, "before": 0.25, "tune_lr": 0.1},
    "plan": PLAN,
    "plan, batches of 16": PLAN | {"train": {"batch_size": 16}},
    "plan, Nesterov, decay 5e-4": PLAN | {"train": {"nesterov": True, "weight_decay": 5e-4}},
    "plan, a third before": PLAN | {"before": 0.33},
    "plan, labels smoothed": PLAN | {"train": {"label_smoothing": 0.1}},
    "plan, a fifth before": PLAN | {"before": 0.2},
    "plan, a fifth before, tuned at 0.1": PLAN | {"before": 0.2, "tune_lr": 0.1},
    "plan, a fifth before, tuned at 0.1, labels smoothed": PLAN
    | {"before": 0.2, "tune_lr": 0.1, "train": {"label_smoothing": 0.1}},
    "one epoch before, AdamW, batches of 16, labels smoothed": LATEST,
    "the same, widths in multiples of 8": LATEST | {"prune": {"round_to": 8}},
    "the same, coupled streams, widths in multiples of 16": LATEST | {"prune": {"round_to": 16, "residual": "couple"}},
    "the same, coupled streams by group_l2_norm, widths in multiples of 16": LATEST
    | {"prune": {"round_to": 16, "residual": "couple", "criterion": "group_l2_norm"}},
    "the same, coupled streams by group_l2_norm, widths in multiples of 16, no penalty": LATEST
    | {"prune": {"round_to": 16, "residual": "couple", "criterion": "group_l2_norm"}, "penalty": {}},
    "transferred, then one epoch before, AdamW, batches of 16, labels smoothed": LATEST | {"start": "transferred"},
    "transferred, then no teacher": {"teacher": False, "start": "transferred"},
    "transferred, then no teacher, a quarter before": {"teacher": False, "before": 0.25, "start": "transferred"},
    "transferred, then half before, SGD": GENTLE | {"start": "transferred"},
    "trained, then half before, SGD": GENTLE | {"start": "trained"},
    "trained, then pruned at once, SGD": GENTLE | {"start": "trained", "before": 0},
    "trained, then one epoch before, AdamW": LATEST | {"start": "trained"},
    "trained, then pruned at once, AdamW": LATEST | {"start": "trained", "before": 0},
    "trained, then pruned at once, AdamW at 1e-3": LATEST | {"start": "trained", "before": 0, "tune_lr": 1e-3},
    "trained, then pruned at once by sensitivity, AdamW": LATEST | {"start": "trained", "before": 0, "prune": SENSED},
    "trained, then pruned at once by sensitivity, SGD": GENTLE | {"start": "trained", "before": 0, "prune": SENSED},
    "trained, then pruned at once by group_l2_norm, AdamW": KNOWN | {"prune": {"criterion": "group_l2_norm"}},
    "trained, then pruned at once by group_l2_norm, coupled streams, widths in multiples of 8, AdamW": KNOWN
    | {"prune": {"criterion": "group_l2_norm", **COUPLED}},
    "trained, then pruned at once by sensitivity, coupled streams, widths in multiples of 8, AdamW": KNOWN
    | {"prune": {**SENSED, **COUPLED}},
}


def main() -> None:
    args = parse()
    use_part(args)
    dense: dict[str, Path] = {}
    known = IMAGENET if args.imagenet else RECIPES
    for name in args.recipes or known:
        if all((args.dataset, name, str(seed)) in done(args.out) for seed in args.seeds):
            continue
        given = DEFAULT | known[name]
        recipe = recipe_of(args, given)
        folder = args.work / name.replace(", ", "-").replace(" ", "-")
        share_dense(args, folder, dense, recipe)
        file = args.work / f"{folder.name}.toml"
        file.write_text(to_toml(recipe, name))
        run(SlimConfig(recipe=file, save=folder, seeds=",".join(map(str, args.seeds)), data_dir=args.data_dir))
        before = [dict(row) for row in csv.DictReader(args.out.open())] if args.out.exists() else []
        write_rows(args.out, [*before, *rows(args, name, recipe, folder)], show=False)
        print(args.out.read_text().splitlines()[-1])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument(
        "--images", type=int, help="of fashion-mnist or cifar10-jpeg: only so many to train on, half as many to test"
    )
    parser.add_argument("--depth", type=int, default=11)
    parser.add_argument("--cost", type=float, default=12, help="in epochs of the dense network")
    parser.add_argument("--share", type=float, default=0.5, help="of the MACs that remain")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--recipes", nargs="+", choices=[*RECIPES, *IMAGENET])
    parser.add_argument("--imagenet", type=Path, help="file with ImageNet's weights of timm's tf_efficientnet_lite0")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--work", type=Path, default=Path("runs/slim-recipes"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.work = args.work / (f"{args.dataset}-{args.images}" if args.images else args.dataset)
    args.work.mkdir(parents=True, exist_ok=True)
    return args


def recipe_of(args: argparse.Namespace, given: Mapping[str, Any]) -> Recipe:
    """The recipe, with as many epochs after the pruning as the cost leaves."""
    before = round(given["before"] * args.cost)
    per_epoch = args.share + (TEACHER if given["teacher"] else 0)
    left = args.cost - before
    rounds = {"steps": given["rounds"], "lr": given["tune_lr"], "batch_size": args.batch_size, "precision": "fp32"}
    if given["rounds"] > 1:
        rounds["epochs"] = max(1, round(0.25 * left / args.share**0.5))
        left -= rounds["epochs"] * args.share**0.5
    training = {"schedule": given["schedule"], "batch_size": args.batch_size, "precision": "fp32", **given["train"]}
    teacher = {"teacher": "dense"} if given["teacher"] else {}
    steps = [*(_from_imagenet(args, given["start"]) if args.imagenet else START[given["start"]])]
    if before:
        settings = {"epochs": before, "lr": given["lr"], **training, **given["penalty"]}
        steps.append(Step(name="dense", verb="train", starts=last(steps), settings=settings))
    if not args.imagenet:
        steps[0] = replace(steps[0], settings={"depth": args.depth, **steps[0].settings})
    settings = {"target_macs": args.share, "reconstruct": given["reconstruct"], **given["prune"]}
    settings |= rounds if given["rounds"] > 1 else {}
    steps.append(Step(name="prune", verb="prune", starts=last(steps), settings=settings))
    settings = {"epochs": max(1, round(left / per_epoch)), "lr": given["tune_lr"], **training, **teacher}
    steps.append(Step(name="tune", verb="train", starts=last(steps), settings=settings))
    size = {"image_size": args.image_size} if args.image_size else {}
    return Recipe(shared={"dataset": args.loader, "device": "cpu", **size}, steps=tuple(steps))


def _from_imagenet(args: argparse.Namespace, head: str) -> tuple[Step]:
    source = {"source": "timm", "model_name": "tf_efficientnet_lite0", "weights": str(args.imagenet.resolve())}
    return (Step(name="moved", verb="transfer", settings={**source, "arch": "same", "head": head}),)


def last(steps: Sequence[Step]) -> tuple[str, ...]:
    """The name of the last step, where the next one starts."""
    return tuple(step.name for step in steps[-1:])


def share_dense(args: argparse.Namespace, folder: Path, dense: dict[str, Path], recipe: Recipe) -> None:
    """Copies networks that another recipe trained with the same settings."""
    for number, step in enumerate(recipe.steps[: names(recipe).index("prune")], start=1):
        there = dense.setdefault(repr(recipe.steps[:number]), folder)
        for seed in args.seeds:
            source, target = (folder_of(place, seed, recipe, step.name) for place in (there, folder))
            if source.is_dir() and not target.exists():
                shutil.copytree(source, target)


def rows(args: argparse.Namespace, name: str, recipe: Recipe, folder: Path) -> Iterator[dict[str, Any]]:
    """One line per seed."""
    for seed in args.seeds:
        found = {step.name: result(folder_of(folder, seed, recipe, step.name)) for step in recipe.steps}
        settings = {step.name: step.settings for step in recipe.steps}
        small, dense = found["tune"], found[names(recipe)[names(recipe).index("prune") - 1]]
        yield {
            "dataset": args.dataset,
            "images": args.images or "",
            "depth": "" if args.imagenet else args.depth,
            "recipe": name,
            "seed": seed,
            "cost": args.cost,
            "batch_size": args.batch_size,
            "epochs_before": settings.get("dense", {"epochs": 0})["epochs"],
            "epochs_after": settings["tune"]["epochs"],
            "dense_top1": dense["test_top1"],
            "pruned_top1": found["prune"]["top1"],
            "small_val": small["best_top1"],
            "small_top1": small["test_top1"],
            "macs_share": small["macs"] / dense["macs"],
            "params": small["params"],
        }


def folder_of(folder: Path, seed: int, recipe: Recipe, step: str) -> Path:
    """Where a step of a seed lies."""
    return folder / f"seed-{seed}" / f"{names(recipe).index(step) + 1:02}-{step}"


def names(recipe: Recipe) -> list[str]:
    return [step.name for step in recipe.steps]


def result(folder: Path) -> dict[str, Any]:
    record = read_record(folder)
    assert record is not None
    assert record.result is not None
    return record.result


def done(path: Path) -> set[tuple[str, str, str]]:
    """Data set, recipe and seed of the rows that are there."""
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        return {(row["dataset"], row["recipe"], row["seed"]) for row in csv.DictReader(file)}


if __name__ == "__main__":
    main()
