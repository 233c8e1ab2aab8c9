"""The guide's network at a third of its MACs after a hundred steps, by way to cut and by rate -> results/depth164.csv.

    netslim slim recipes/published/resnet164-cifar10-jpeg.toml --data-dir DIR --unverified-data --save runs/resnet164
    python benchmarks/depth164.py runs/resnet164/01-dense/model_best.pth.tar --data-dir DIR --work runs/depth164

The network is the first step of that recipe: depth 164, trained with a weight decay of 5e-4. Each way of
`real_ways.WAYS` that is named here cuts it, and all get the same 12,800 training images once: SGD, one cycle. The 5,000
images that chose the network chose nothing here; the 10,000 test images judge. The same command goes on where it was
cut off.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import netslim
from netslim.core.processes.allocator import keep_freed_memory
from netslim.data import load_dataset, split_validation
from real_training import Training, save, top1, train_
from real_ways import OWN_CRITERION, WAYS, Case
from table import rows_of_these_versions, write_rows

CUTS = (
    "netslim, group_l2_norm by sensitivity, coupled",
    "netslim, no reconstruction",
    "Torch-Pruning magnitude",
    "original rule",
)
RATES = (0.03, 0.1)
SHARE, IMAGES, HELD_OUT, SEED = 0.33, 12_800, 0.1, 1
Row = dict[str, Any]


def cut(way: str, case: Case, work: Path) -> nn.Module:
    """The small network of a way, made once."""
    file = work / f"{way}.pt".replace(" ", "_")
    if not file.exists():
        save(file, WAYS[way](case, SHARE, OWN_CRITERION.get(way, "l2_norm"))[1])
    small: nn.Module = torch.load(file, weights_only=False)
    return small


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with CIFAR-10's files")
    parser.add_argument("--work", type=Path, default=Path("runs/depth164"))
    parser.add_argument("--out", type=Path, default=Path("results/depth164.csv"))
    given = parser.parse_args()
    keep_freed_memory()
    dataset = load_dataset("cifar10", given.data_dir, unverified_data=True)
    train, held_out = split_validation(dataset.train, HELD_OUT, seed=SEED)
    dataset = replace(dataset, train=train)
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(SEED))[:IMAGES]
    part = replace(dataset, train=train.part(chosen))
    model = netslim.load(given.checkpoint).eval()
    case, rows = Case(model, dataset, held_out, SEED), rows_of_these_versions(given.out)
    done = {(row["way"], float(row["rate"])) for row in rows}
    dense = rows[0]["top1_dense"] if rows else top1(model, dataset.test, dataset, "cpu")
    for way in CUTS:
        for rate in RATES:
            if (way, rate) in done:
                continue
            small = cut(way, case, given.work)
            cost = netslim.measure(small, case.example[:1])
            before = top1(small, dataset.test, dataset, "cpu")
            kept = given.work / f"{way} {rate}.part".replace(" ", "_")
            seconds = train_(small, part, Training(epochs=1, rate=rate, seed=SEED), kept, "cpu", None)
            row: Row = {"network": "resnet-164", "data": "cifar10-jpeg", "way": way, "share": SHARE, "rate": rate}
            row |= {"images": IMAGES, "seed": SEED, "macs": cost.macs, "params": cost.params}
            row |= {"top1_dense": dense, "top1_before": before}
            row |= {
                "top1": top1(small, dataset.test, dataset, "cpu"),
                "test_images": len(dataset.test),
                "seconds": seconds,
            }
            rows.append(row)
            write_rows(given.out, rows)
            kept.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
