"""What each way of training for pruning costs before anything is pruned, and what is left after it.

    python benchmarks/penalty_study.py --data-dir DIR [--dataset fashion-mnist] [--depth 20] [--seeds 1 2 3]
                                       [--out results/penalties.csv]

Networks are trained from scratch with each penalty on the same images, then pruned to shares of their MACs as
`netslim prune` does; nothing is fine-tuned. One row per seed and penalty, written as soon as it is known. Accuracies
are on 5,000 test images, which choose nothing; the strength is the same for all kinds and was not searched for.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import netslim
from netslim.core.runs.seeding import seed_torch
from netslim.data import ImageDataset, load_dataset
from netslim.stages.shared.calibration_data import training_images
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.step_setup import build_step
from netslim.training.precision import Precision
from pruning_study import CALIBRATION, TEST_IMAGES, Case, accuracy, ours, part_of, run_epochs
from table import write_rows

SHARES = (1 / 2, 1 / 3, 1 / 4)  # of the MACs
FALLING = {"penalty_warmup": 1.0, "penalty_schedule": "linear"}
PENALTIES: dict[str, dict[str, Any]] = {
    "none": {"sparsity_regularization": False},
    "l1": {},
    "l1, warm-up, falling": FALLING,
    "l1, weighted by MACs": {"penalty_weights": "macs"},
    "l1, no decay of scales": {"scale_decay": False},
    "proximal": {"penalty": "proximal"},
    "polarization": {"penalty": "polarization"},
}


def main() -> None:
    args = parse()
    rows = []
    for seed in args.seeds:
        dataset = load_dataset(args.dataset, args.data_dir)
        train, test = part_of(dataset.train, args.images), part_of(dataset.test, TEST_IMAGES)
        dataset = replace(dataset, train=train, test=test)
        for name, settings in PENALTIES.items():
            rows.append(row(args, seed, name, settings, dataset))
            write_rows(args.out, rows, show=False)
    write_rows(args.out, rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--images", type=int, default=5_000, help="training images")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--s", type=float, default=2e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=Path("results/penalties.csv"))
    return parser.parse_args()


def row(
    args: argparse.Namespace, seed: int, name: str, settings: dict[str, Any], dataset: ImageDataset
) -> dict[str, Any]:
    """Trains and prunes with one penalty."""
    common = {"sparsity_regularization": True, "s": args.s, "lr": args.lr, "epochs": args.epochs}
    config = TrainConfig(**{**common, **settings})
    seed_torch(seed, "init")
    model = netslim.create_model(
        "resnet", depth=args.depth, num_classes=dataset.num_classes, in_channels=dataset.in_channels
    )
    precision = Precision("bf16", channels_last=True)
    precision.arrange_(model)
    step = build_step(config, model, precision, dataset, None)
    run_epochs(step, dataset, "onecycle", lr=args.lr, epochs=args.epochs, seed=seed)
    model.eval()
    about = {"data": args.dataset, "depth": args.depth, "seed": seed}
    case = Case(model, dataset, dataset.test, training_images(dataset, CALIBRATION, seed), about)
    after = {
        f"top1_{share:.2f}": accuracy(ours(case, share * case.macs(model)), case, dataset.test) for share in SHARES
    }
    found = {
        "top1": accuracy(model, case, dataset.test),
        "near_zero": step.penalty.near_zero(),
        "zero": step.penalty.zeros(),
        **after,
    }
    print(about, name, found, flush=True)
    recipe = {"images": args.images, "epochs": args.epochs, "lr": args.lr, "s": args.s}
    return {**about, **recipe, "penalty": name, **found}


if __name__ == "__main__":
    main()
