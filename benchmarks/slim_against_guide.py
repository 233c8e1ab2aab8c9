"""The guide's five steps, as the original's scripts do them, against `netslim slim` in a quarter of their time.

The five steps have their 160, 40 and 160 epochs scaled down alike; `slim` does what it does by default in a share of
what they cost. Cost is counted as in `slim_recipes.py`: an epoch of the dense network is 1, of the small one its share
of the MACs; there both train in fp32. Beside it stand seconds of the processor, of all steps but not of the page. Of
these `slim 0.25 seconds` has a
quarter: it is the plan as it is, in the precision that it finds fastest, with the epochs that `--slim-epochs` says take
so long here; `guide again` are the five steps, to be timed beside it. All end at the same MACs. What the five steps
reach is the best epoch on the test images, as the original chooses it; `slim` never sees them before the end, and
trains on a tenth fewer images. `last_top1` is what the last epoch got on the images that choose. Rows are added as runs
finish; run it again to go on.

    python benchmarks/slim_against_guide.py --dataset digits --out results/slim_against_guide.csv
    python benchmarks/slim_against_guide.py --dataset fashion-mnist --images 6000 --data-dir DIR --out FILE
"""

import argparse
import csv
import dataclasses
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dataset_part import use_part
from netslim.core.runlog import read_metrics
from netslim.stages.slim.config import PlannedConfig, SlimConfig
from netslim.stages.slim.pace import measure_pace, probe_of, pruning_of
from netslim.stages.slim.planning import SHAPES, planned_recipe
from netslim.stages.slim.recipe import Recipe, read_recipe, to_toml
from netslim.stages.slim.run import run
from slim_recipes import result
from table import write_rows

GUIDE = Path(__file__).parent.parent / "recipes" / "guide.toml"
SPARSITY = 0.25  # epochs with the penalty, for each one of fine-tuning: 40 of 160
SHARES = (0.25, 0.5, 1.0)  # of the guide's cost that slim has
AGAIN, SECONDS = "guide again", "slim 0.25 seconds"


def main() -> None:
    args = parse()
    use_part(args)
    for seed in args.seeds:
        for way in args.ways:
            if (args.dataset, str(args.images or ""), way, str(seed)) not in done(args.out):
                add_row(args, way, seed)


def parse() -> argparse.Namespace:
    usual = ["guide", *(f"slim {share:g}" for share in SHARES)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument(
        "--images",
        type=int,
        help="of fashion-mnist or cifar10-jpeg: only so many to train on, and half as many to test",
    )
    parser.add_argument("--depth", type=int, default=11)
    parser.add_argument("--epochs", type=int, default=24, help="of each of the guide's two fine-tunings")
    parser.add_argument("--share", type=float, default=0.5, help="of the MACs that remain")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--ways", nargs="+", default=usual, choices=[*usual, AGAIN, SECONDS])
    parser.add_argument("--slim-epochs", type=int, help=f"of all training of `{SECONDS}`")
    parser.add_argument("--work", type=Path, default=Path("runs/slim-against-guide"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if SECONDS in args.ways and args.slim_epochs is None:
        parser.error(f"`{SECONDS}` needs --slim-epochs")
    args.work = args.work / f"{args.dataset}-{args.images or 'all'}"
    args.work.mkdir(parents=True, exist_ok=True)
    return args


def add_row(args: argparse.Namespace, way: str, seed: int) -> None:
    """Does one way with one seed."""
    recipe = recipe_of(args, way)
    folder = args.work / f"{way.replace(' ', '-')}-{seed}"
    fresh = not folder.exists()
    file = args.work / f"{folder.name}.toml"
    file.write_text(to_toml(recipe, way))
    start = time.process_time()
    with patch("netslim.stages.slim.run._pages"):
        run(SlimConfig(recipe=file, save=folder, seed=seed, data_dir=args.data_dir))
    seconds = time.process_time() - start
    before = [dict(row) for row in csv.DictReader(args.out.open())] if args.out.exists() else []
    found = row(args, recipe, folder) | {"cpu_seconds": round(seconds, 1) if fresh else ""}
    where = {"dataset": args.dataset, "images": args.images or "", "depth": args.depth, "way": way, "seed": seed}
    write_rows(args.out, [*before, {**where, **found}], show=False)
    print(args.out.read_text().splitlines()[-1], flush=True)


def recipe_of(args: argparse.Namespace, way: str) -> Recipe:
    """What one of the ways does."""
    if way in ("guide", AGAIN):
        return guide(args)
    return fastest(args) if way == SECONDS else slim(args, float(way.split()[1]))


def guide(args: argparse.Namespace) -> Recipe:
    """The guide's recipe with fewer epochs; nothing is repaired, and the weights that it moves are new ones."""
    recipe = read_recipe(GUIDE).with_shared({"dataset": args.loader, "device": "cpu"})
    epochs = {
        "fine_tuned_model": args.epochs,
        "sparsity_trained_model": max(1, round(SPARSITY * args.epochs)),
        "final_model": args.epochs,
    }
    changes = {f"{name}.epochs": count for name, count in epochs.items()}
    changes |= {f"{name}.precision": "fp32" for name in epochs}
    source = {"depth": args.depth, "pretrained": False, "strategy": "guide"}
    changes |= {f"transferred_model.{name}": value for name, value in source.items()}
    return recipe.with_settings({**changes, "pruned_model.target_macs": args.share})


def slim(args: argparse.Namespace, share: float) -> Recipe:
    """The default plan in fp32, with the epochs that this share of the guide's cost pays."""
    budget = share * cost(args, guide(args))
    plans = (plan(args, epochs) for epochs in range(2, 1000))
    paid = [each for each in plans if cost(args, each) <= budget][-1]
    names = [step.name for step in paid.steps if step.verb == "train"]
    return paid.with_settings({f"{name}.precision": "fp32" for name in names})


def fastest(args: argparse.Namespace) -> Recipe:
    """The default plan with the widths that are trained fastest here."""
    recipe = plan(args, args.slim_epochs)
    data = {} if args.data_dir is None else {"data_dir": args.data_dir}
    probe = probe_of(recipe.with_shared(data))
    assert probe is not None
    pace = measure_pace(probe, pruning_of(recipe), SHAPES[False])
    return plan(args, args.slim_epochs, shape=pace.shape, precision=pace.precision)


def plan(args: argparse.Namespace, epochs: int, **found: Any) -> Recipe:
    """The default plan."""
    config = PlannedConfig(dataset=args.loader, depth=args.depth, target_macs=args.share)
    recipe = planned_recipe(config, epochs, args.images, **found)
    return dataclasses.replace(recipe, shared={**recipe.shared, "device": "cpu"})


def cost(args: argparse.Namespace, recipe: Recipe) -> float:
    """In epochs of the dense network."""
    trained = [step for step in recipe.steps if step.verb == "train"]
    return sum(int(step.settings["epochs"]) * (args.share if recipe.is_pruned(step.name) else 1.0) for step in trained)


def row(args: argparse.Namespace, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """What came of it."""
    found = {step.verb: result(folder / f"{number:02}-{step.name}") for number, step in enumerate(recipe.steps, 1)}
    small, pruned = found["train"], found["prune"]
    epochs = [str(step.settings["epochs"]) for step in recipe.steps if step.verb == "train"]
    return {
        "epochs": " + ".join(epochs),
        "cost": cost(args, recipe),
        "pruned_top1": pruned["top1"],
        "selected_on": small["selected_on"],
        "selected_top1": small["best_top1"],
        "test_top1": small["test_top1"],
        "last_top1": read_metrics(folder / f"{len(recipe.steps):02}-{recipe.steps[-1].name}" / "metrics.jsonl")[-1][
            "top1"
        ],
        "macs": small["macs"],
        "params": small["params"],
    }


def done(path: Path) -> set[tuple[str, str, str, str]]:
    """Data set, images, way and seed of the rows that are there."""
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        return {(row["dataset"], row["images"], row["way"], row["seed"]) for row in csv.DictReader(file)}


if __name__ == "__main__":
    main()
