"""What short kernels are worth where a training starts, on the digits of `netslim demo` -> results/kernel_lengths.csv.

    python benchmarks/kernel_lengths.py

New weights, and those of the demo's source by `select`, each as they are and shortened (`netslim.transfers.shorten_`);
BatchNorm statistics are measured in all. Then the demo's network is trained for two epochs at a constant rate: SGD with
momentum, as the guide's scripts have it. A row per start, rate and seed, with the accuracy on the test images, which
choose nothing. The same command goes on where it was cut off.
"""

import argparse
import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import netslim
from netslim.core.runs.seeding import seed_torch
from netslim.data import load_dataset
from netslim.stages.demo.run import DEPTH, SHARED, SOURCE
from netslim.stages.shared.calibration_data import calibration_images
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.run import run as train
from netslim.training.bn_statistics import recalibrate_
from netslim.transfers import shorten_
from table import rows_of_these_versions, write_rows

STARTS = ("scratch", "select", "scratch, kernels shortened", "select, kernels shortened")
RATES = (0.1, 0.03, 0.01)
EPOCHS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6])
    parser.add_argument("--out", type=Path, default=Path("results/kernel_lengths.csv"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = rows_of_these_versions(args.out)
    done = {(row["start"], float(row["rate"]), int(row["seed"])) for row in rows}
    for seed, rate, start in itertools.product(args.seeds, RATES, STARTS):
        if (start, rate, seed) in done:
            continue
        with TemporaryDirectory() as folder:
            file = Path(folder) / "start.pth.tar"
            write_start(file, start, seed)
            given = SHARED | {"epochs": EPOCHS, "schedule": "step", "lr": rate}
            found = train(TrainConfig(**given, seed=seed, resume=file, save=Path(folder) / "run"))
        row = {"data": "digits", "depth": DEPTH, "start": start, "epochs": EPOCHS, "rate": rate, "seed": seed}
        rows.append({**row, "top1": found["test_top1"]})
        write_rows(args.out, rows, show=False)


def write_start(file: Path, start: str, seed: int) -> None:
    """The network before its training."""
    dataset = load_dataset("digits", Path())
    images = calibration_images(dataset, 11, seed)
    seed_torch(seed, "init")
    fresh = netslim.create_model("resnet", depth=DEPTH, num_classes=dataset.num_classes, in_channels=1)
    model = fresh
    if start.startswith("select"):
        source = netslim.load_source("timm", "test_resnet", weights=SOURCE)
        model, _ = netslim.transfer(source, fresh, "select", images)
    if start.endswith("shortened"):
        shorten_(model, fresh)
    recalibrate_(model, images)
    netslim.save(file, model)


if __name__ == "__main__":
    main()
