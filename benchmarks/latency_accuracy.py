"""Of trained networks cut to the same measured time: how accurate are they after equal short fine-tuning?

    python benchmarks/latency_accuracy.py --weights resnet20-12fca82f.th --images cifar10-jpeg --work runs/latency
    python benchmarks/latency_accuracy.py --weights resnet164=model_best.pth.tar --dataset cifar10 --data-dir DIR
    python benchmarks/latency_accuracy.py --weights resnet20-12fca82f.th --images cifar10-jpeg --seeds  # the cuts

First the cuts: `netslim.plan(..., target_latency=1/asked)` in ONNX Runtime, then the other ways at the strength at
which their networks take as long as ours, found by halving, timed in turns. They lie in `--work`, so that the second
part can be run later and beside other work: each is put right (constants absorbed and
statistics measured on 2,560 images; not Torch-Pruning's, which has no such step) and trained for `--epochs` with
`--tuned` images, one cycle. A row per network, way and seed, which draws the images and their order. Nothing is chosen
by the test images; `speed_up` is over the dense network, lower quartiles of calls in turns.
"""

import argparse
import copy
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

import netslim
from netslim.data import ImageDataset, evaluation_batches, load_dataset
from real_training import Training, images_of, save, top1, train_
from reconstruction import network
from table import rows_of_these_versions, write_rows

IMAGES, STATISTICS, BATCH = 512, 2560, 128
SEARCHES = 7  # halvings of a way's strength
RATE = 0.05

Batches = list[tuple[Tensor, Tensor]]
Row = dict[str, Any]
OPTIONS: Row = {"criterion": "group_l2_norm", "residual": "couple"}  # streams, too: else 2x is out of reach


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", required=True, help="FILE.th, or NAME=FILE of netslim's")
    parser.add_argument("--images", type=Path, default=Path("cifar10-jpeg"))
    parser.add_argument("--dataset", help="what those of netslim's were trained on")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--data", default="cifar10-jpeg", help="what the rows call it")
    parser.add_argument("--work", type=Path, default=Path("runs/latency"))
    parser.add_argument("--ways", type=re.compile, default=re.compile(""), help="only those whose name matches")
    parser.add_argument("--asked", type=float, default=2, help="speed-up")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--tuned", type=int, default=10_000, help="images of the fine-tuning")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3], help="none: the cuts alone")
    parser.add_argument("--out", type=Path, default=Path("results/latency_accuracy.csv"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.dataset:
        dataset = load_dataset(arguments.dataset, arguments.data_dir)
    else:
        dataset = images_of(arguments.images, arguments.work / "images")
    rows = rows_of_these_versions(arguments.out)
    for given in arguments.weights:
        name, dense = network(given, images(dataset, STATISTICS, 0))
        place: Row = {"network": name, "data": arguments.data, "threads": arguments.threads, "batch": arguments.batch}
        place |= {"asked": arguments.asked, "tuned": arguments.tuned, "epochs": arguments.epochs}
        kept = arguments.work / f"{name}-{arguments.asked:g}-{arguments.threads}-{arguments.batch}.pt"
        if not kept.exists():
            save(kept, cuts(dense, dataset, arguments))
        found = torch.load(kept, weights_only=False)  # written above
        for seed in arguments.seeds:
            for way, cut in found.items():
                row = {**place, "way": way, "seed": seed}
                if not any(all(str(known[key]) == str(value) for key, value in row.items()) for known in rows):
                    rows.append({**row, **tuned(dense, way, cut, dataset, arguments, seed)})
                    print(rows[-1], flush=True)
                    write_rows(arguments.out, rows, show=False)


def images(dataset: ImageDataset, count: int, seed: int) -> Batches:
    """Training images, normalised, with their classes."""
    chosen = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))[:count]
    return [*evaluation_batches(dataset.train.part(chosen), dataset, batch_size=BATCH, device="cpu")]


def cuts(dense: nn.Module, dataset: ImageDataset, arguments: argparse.Namespace) -> dict[str, Row]:
    """The networks of all ways, with their speed-ups, at the time of ours."""
    known = images(dataset, IMAGES, 0)
    example, batches = known[0][0][:1], [each for each, _ in known]
    engine = netslim.Engine("onnxruntime", threads=arguments.threads, batch_size=arguments.batch)
    found: dict[str, nn.Module] = {}
    for way, options in [each for each in OURS.items() if arguments.ways.search(each[0])]:
        looks = {"batches": batches} if options.get("allocation") else {}
        plan = netslim.plan(dense, example, target_latency=1 / arguments.asked, engine=engine, **options, **looks)
        found[way] = netslim.apply(dense, plan).eval()
    first = next(iter(found))

    def time(small: nn.Module) -> float:
        calls = {name: engine.call(own, example) for name, own in (("ours", found[first]), ("theirs", small))}
        times = {name: taken.lower_quartile for name, taken in engine.time(calls).items()}
        return times["theirs"] / times["ours"]

    for way, prune in [each for each in THEIRS.items() if arguments.ways.search(each[0])]:
        low, high, best = 0.0, 1.0, (float("inf"), dense)
        for _ in range(SEARCHES):
            strength = (low + high) / 2
            try:
                small = prune(dense, example, batches, strength).eval()
                share = time(small)
            except Exception as error:  # whatever Torch-Pruning raises, or nothing is left
                print(f"{way} {strength:.3f}: {type(error).__name__}: {error}"[:200], flush=True)
                high = strength
                continue
            print(f"{way} {strength:.3f}: {share:.3f} of our time", flush=True)
            best = min(best, (abs(share - 1), small), key=lambda each: each[0])
            low, high = (strength, high) if share > 1 else (low, strength)
        if best[1] is not dense:
            found[way] = best[1]
    calls = {way: engine.call(own, example) for way, own in {"dense": dense, **found}.items()}
    times = {way: taken.lower_quartile for way, taken in engine.time(calls).items()}
    macs = netslim.measure(dense, example).macs
    return {
        way: {
            "model": own,
            "speed_up": round(times["dense"] / times[way], 3),
            "macs": round(netslim.measure(own, example).macs / macs, 4),
        }
        for way, own in found.items()
    }


def by_share(dense: nn.Module, example: Tensor, batches: list[Tensor], strength: float) -> nn.Module:  # noqa: ARG001
    plan = netslim.plan(dense, example, percent=strength, per_layer=True, **OPTIONS)
    return netslim.apply(dense, plan)


def by_macs(allocation: str, dense: nn.Module, example: Tensor, batches: list[Tensor], strength: float) -> nn.Module:
    looks = {"allocation": allocation, "batches": batches} if allocation == "sensitivity" else {}
    left = int((1 - strength) * netslim.measure(dense, example).macs)  # of a network that may have been pruned before
    plan = netslim.plan(dense, example, target_macs=left, **OPTIONS, **looks)
    return netslim.apply(dense, plan)


def by_torch_pruning(
    dense: nn.Module,
    example: Tensor,
    batches: list[Tensor],  # noqa: ARG001
    strength: float,
) -> nn.Module:
    small = copy.deepcopy(dense)
    torch_pruning.pruner.MagnitudePruner(
        small, example, importance=torch_pruning.importance.GroupMagnitudeImportance(p=2), global_pruning=True,
        pruning_ratio=strength, ignored_layers=[layer for layer in small.modules() if isinstance(layer, nn.Linear)],
    ).step()  # fmt: skip
    small(example)
    return small


OURS: dict[str, Row] = {
    "latency": OPTIONS,
    "latency, by sensitivity": {**OPTIONS, "allocation": "sensitivity"},
}
THEIRS: dict[str, Callable[[nn.Module, Tensor, list[Tensor], float], nn.Module]] = {
    "uniform": by_share,
    "macs": partial(by_macs, "scores"),
    "macs, by sensitivity": partial(by_macs, "sensitivity"),
    "Torch-Pruning magnitude": by_torch_pruning,
}


def tuned(dense: nn.Module, way: str, cut: Row, dataset: ImageDataset, arguments: argparse.Namespace, seed: int) -> Row:
    """What is left after the repair, and after the fine-tuning."""
    small = copy.deepcopy(cut["model"])
    if not way.startswith("Torch-Pruning"):
        netslim.repair_(small, dense, [each for each, _ in images(dataset, STATISTICS, seed)])
    repaired = top1(small, dataset.test, dataset, "cpu")
    chosen = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))[: arguments.tuned]
    few = replace(dataset, train=dataset.train.part(chosen))
    kept = arguments.work / f"{way}-{seed}.state"
    kept.unlink(missing_ok=True)
    train_(small, few, Training(epochs=arguments.epochs, rate=RATE, seed=seed), kept, "cpu", None)
    return {
        "speed_up": cut["speed_up"],
        "macs": cut["macs"],
        "params": sum(own.numel() for own in small.parameters()),
        "top1_dense": top1(dense, dataset.test, dataset, "cpu"),
        "top1_repaired": repaired,
        "top1_tuned": top1(small, dataset.test, dataset, "cpu"),
    }


if __name__ == "__main__":
    main()
