"""The guide's workflow on real data, both routes: transfer -> fine-tune -> sparsity -> prune -> fine-tune, and sparsity
from scratch -> prune -> fine-tune. Writes one CSV row per phase; accuracies are on the test set, which chooses nothing.

    python benchmarks/five_steps.py --dataset fashion-mnist --data-dir DIR --depth 29 --out results/fashion_mnist.csv
"""

import argparse
from pathlib import Path
from typing import Any

from netslim.stages.evaluate import run as evaluate
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig
from netslim.stages.train import run as train
from netslim.stages.train.config import TrainConfig
from netslim.stages.transfer import run as transfer
from netslim.stages.transfer.config import TransferConfig
from table import write_rows


def main() -> None:
    args = parse()
    routes = {"transfer": transfer_route, "scratch": scratch_route}
    rows = []
    for seed in args.seeds:
        for route in args.routes:
            phases = routes[route](args, seed, args.work / f"{route}-{seed}")
            rows += [row(args, route, seed, phase, result) for phase, result in phases.items()]
    write_rows(args.out, rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--depth", type=int, required=True)
    parser.add_argument("--epochs", type=int, default=4, help="of each of the route's training phases")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--s", type=float, default=1e-3)
    parser.add_argument("--percent", type=float, default=0.5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--routes", nargs="+", default=["transfer", "scratch"])
    parser.add_argument("--work", type=Path, default=Path("runs/five-steps"))
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def transfer_route(args: argparse.Namespace, seed: int, save: Path) -> dict[str, dict[str, Any]]:
    """The guide's five steps."""
    start = save / "transferred.pth.tar"
    moved = transfer.run(
        TransferConfig(
            dataset=args.dataset, depth=args.depth, pretrained=False, strategy="guide", output=start, seed=seed
        )
    )
    untrained = evaluate.run(EvaluateConfig(model=start, dataset=args.dataset, data_dir=args.data_dir))
    tuned = train.run(TrainConfig(**settings(args, seed), resume=start, save=save / "fine-tuned"))
    sparse = train.run(
        TrainConfig(
            **settings(args, seed),
            resume=Path(tuned["file"]),
            sparsity_regularization=True,
            s=args.s,
            save=save / "sparse",
        )
    )
    return {"transfer": {**moved, **untrained}, "fine-tune": tuned, **shrink(args, seed, save, sparse)}


def scratch_route(args: argparse.Namespace, seed: int, save: Path) -> dict[str, dict[str, Any]]:
    """The guide's alternative: as many epochs, all of them with the penalty, from scratch."""
    longer = {**settings(args, seed), "epochs": 2 * args.epochs}
    sparse = train.run(
        TrainConfig(**longer, depth=args.depth, sparsity_regularization=True, s=args.s, save=save / "sparse")
    )
    return shrink(args, seed, save, sparse)


def shrink(args: argparse.Namespace, seed: int, save: Path, sparse: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Prune, then fine-tune."""
    model = Path(sparse["file"])
    pruned = prune.run(PruneConfig(model=model, percent=args.percent, data_dir=args.data_dir, save=save / "pruned"))
    final = train.run(TrainConfig(**settings(args, seed), refine=Path(pruned["file"]), save=save / "final"))
    return {"sparsity": sparse, "prune": pruned, "fine-tune pruned": final}


def settings(args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """What all training phases share."""
    return {
        "dataset": args.dataset,
        "data_dir": args.data_dir,
        "epochs": args.epochs,
        "lr": args.lr,
        "schedule": "onecycle",
        "precision": args.precision,
        "seed": seed,
    }


def row(args: argparse.Namespace, route: str, seed: int, phase: str, result: dict[str, Any]) -> dict[str, Any]:
    """One line of the CSV."""
    return {
        "dataset": args.dataset,
        "depth": args.depth,
        "route": route,
        "seed": seed,
        "phase": phase,
        "epochs": result.get("epochs", 0),
        "lr": args.lr,
        "s": args.s,
        "percent": args.percent,
        "test_top1": result.get("test_top1", result.get("top1")),
        "selected_on": result.get("selected_on", "none"),
        "channels": result.get("channels", ""),
        "kept": result.get("kept", ""),
        "params": result["params"],
        "macs": result["macs"],
        "bytes": Path(result.get("file", result.get("model", ""))).stat().st_size,
        "seconds": round(result.get("seconds", 0.0), 1),
        "precision": result.get("precision", ""),
    }


if __name__ == "__main__":
    main()
