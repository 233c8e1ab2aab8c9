"""Where does a transfer stop to pay? All images of five classes, from each start and from other people's
-> results/transfer_whole.csv.

    python benchmarks/transfer_whole.py --images cifar10-jpeg --work runs/transfer_whole
    python benchmarks/transfer_whole.py --images cifar10-jpeg --work runs/transfer_whole --list

A queue of runs, the most telling first; the same command goes on where it was cut off, in the middle of an epoch (every
100 steps are kept in `--work`). The source, a ResNet with bottleneck blocks, is trained on all images of five classes;
the targets, netslim's ResNet-29, on those of the other five, all alike: SGD, batches of 128, one cycle, the same images
in the same order. Wherever there is a source, BatchNorm statistics are measured on training images first.

24,000 images train, 1,000 choose the rate of a start (after one epoch, seed 1); the 5,000 test images choose nothing.
`iatransfer` is only there where it can be imported. Rows with 0 epochs are what a start gives untrained.
"""

import argparse
import functools
import importlib.util
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

import netslim
from netslim.core.checkpoint import read_checkpoint
from netslim.core.processes.allocator import keep_freed_memory
from netslim.core.protocols import PrunableModel
from netslim.core.runs.seeding import seed_torch
from netslim.data import Split, evaluation_batches, split_validation
from netslim.stages.shared.calibration_data import calibration_images
from netslim.stages.train import run as train
from netslim.stages.train.config import TrainConfig
from netslim.training.bn_statistics import recalibrate_
from netslim.transfers import shorten_
from netslim.transfers.strategies.select import SelectOptions, select
from real_training import Training, images_of, train_
from table import rows_of_these_versions, write_rows
from transfer_rivals import RULES, by_rule, iatransfer_
from transfer_rows import EPOCHS, RATES, best_rate
from transfer_study import CALIBRATION, DEPTH, half

SOURCE, SOURCE_SIZE, SOURCE_EPOCHS = "timm/resnet26", 48, 6
HELD_OUT = 0.04
UNFOLDED = "select, nothing folded or scaled"
SHORTENED = "select, kernels shortened"
CONTROL = "scratch, kernels shortened"
STARTS = (
    "scratch",
    SHORTENED,
    CONTROL,
    UNFOLDED,
    "select",
    "weight selection",
    "frequency truncation",
    "iatransfer",
    "guide",
    "select by spacing",
)
COLUMNS = ("data", "images", "source", "source_top1", "start", "depth", "epochs", "rate", "seed", "top1_start", "top1",
           "held_out", "covered", "macs", "params", "seconds")  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: a row. A rate of None is the start's best."""

    start: str
    epochs: int
    seed: int
    rate: float | None = None


def queue() -> Iterator[Run]:
    """All runs, the most telling first."""
    for rate, start in product(RATES, STARTS):
        yield Run(start=start, epochs=1, seed=1, rate=rate)
    short, long, longer, longest = EPOCHS
    stages = [(long, (1,)), (short, (2, 3)), (longer, (1,)), (long, (2, 3)), (longest, (1,)), (longer, (2, 3))]
    for epochs, seeds in (*stages, (longest, (2, 3))):
        for seed, start in product(seeds, STARTS):
            yield Run(start=start, epochs=epochs, seed=seed)


class Study:
    """What the runs share."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.work, self.out = arguments.work, arguments.out
        self.source = trained_source(arguments)
        dataset = images_of(half(arguments, 1), self.work / "target")
        part, self.held_out = split_validation(dataset.train, HELD_OUT, seed=0)
        self.dataset = replace(dataset, train=part)
        self.rows: list[Row] = rows_of_these_versions(self.out)

    def take(self, run: Run) -> None:
        """Makes a run's row, unless it is there."""
        rate = best_rate(self.rows, run.start) if run.rate is None else run.rate
        if any(is_row(row, run, rate) for row in self.rows):
            return
        model, covered = self.built(run)
        known = {"start": run.start, "depth": DEPTH, "rate": rate, "seed": run.seed, "covered": covered}
        known |= {"top1_start": self.top1(model, self.dataset.test), **size(model)}
        training = Training(epochs=run.epochs, rate=rate, seed=run.seed)
        kept = self.work / f"{run.start}-{run.epochs}-{rate}-{run.seed}.part".replace(" ", "_")
        seconds = train_(model, self.dataset, training, kept, "cpu", None)
        found = {"top1": self.top1(model, self.dataset.test), "held_out": self.top1(model, self.held_out)}
        self.add({**known, **found, "epochs": run.epochs, "seconds": seconds})
        kept.unlink(missing_ok=True)

    def built(self, run: Run) -> tuple[PrunableModel, float]:
        """The target at its start, and the share of its learnable numbers that come from the source."""
        seed_torch(run.seed, "init")
        target = netslim.create_model("resnet", depth=DEPTH, num_classes=self.dataset.num_classes)
        if run.start == CONTROL:
            shorten_(target, target)
        if run.start in ("scratch", CONTROL):
            return target, 0.0
        images = calibration_images(self.dataset, CALIBRATION, run.seed)
        if run.start == "iatransfer":
            before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
            iatransfer_(netslim.load(self.source), target)
            covered = share_changed(target, before)
        else:
            state = netslim.load(self.source).state_dict()
            fresh = target
            target, report = netslim.transfer(state, fresh, strategy_of(run.start), images)
            covered = report.coverage
            if run.start == SHORTENED:
                shorten_(target, fresh)
        recalibrate_(target, images)
        return target, round(covered, 4)

    def top1(self, model: nn.Module, split: Split) -> float:
        """Share of the images that are recognised."""
        batches = evaluation_batches(split, self.dataset, batch_size=250, device="cpu")
        return round(netslim.evaluate(model, batches).top1, 4)

    def add(self, row: Row) -> None:
        """Writes the table with one more row."""
        facts = {"data": "cifar10-jpeg, 5 classes", "images": len(self.dataset.train)}
        if row["start"] not in ("scratch", CONTROL):
            top1 = round(read_checkpoint(self.source).best_prec1, 4)
            facts |= {"source": SOURCE, "source_top1": top1}
        self.rows.append({**dict.fromkeys(COLUMNS, ""), **facts, **row})
        write_rows(self.out, self.rows, show=False)
        print(row, flush=True)


def trained_source(arguments: argparse.Namespace) -> Path:
    """The source's file; its training goes on where it was cut off."""
    folder: Path = arguments.work / "source_network"
    train.run(
        TrainConfig(
            arch=SOURCE, dataset="folder", data_dir=half(arguments, 0), image_size=SOURCE_SIZE, epochs=SOURCE_EPOCHS,
            batch_size=128, schedule="onecycle", lr=0.1, nesterov=True, weight_decay=5e-4, precision="bf16",
            save=folder,
        )
    )  # fmt: skip
    return folder / "model_best.pth.tar"


def strategy_of(start: str) -> Any:
    """What `netslim.transfer` takes for a start."""
    if start == SHORTENED:
        return "select"
    if start in RULES:
        return by_rule(RULES[start])
    if start == "select by spacing":
        return functools.partial(select, options=SelectOptions(select_by="spacing"))
    if start == UNFOLDED:
        return functools.partial(select, options=SelectOptions(fold=False, rescale=False, scale_branches=False))
    return start


def share_changed(model: nn.Module, before: dict[str, torch.Tensor]) -> float:
    """Share of a network's learnable numbers that are others than before."""
    pairs = [(parameter, before[name]) for name, parameter in model.named_parameters()]
    return sum(int((now != then).sum()) for now, then in pairs) / sum(now.numel() for now, _ in pairs)


def size(model: nn.Module) -> Row:
    """MACs and parameters."""
    return asdict(netslim.measure(model, torch.zeros(1, 3, 32, 32)))


def is_row(row: Row, run: Run, rate: float) -> bool:
    """Whether a row is this run's."""
    return (row["start"], int(row["epochs"]), int(row["seed"]), float(row["rate"])) == (
        run.start, run.epochs, run.seed, rate)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=Path("cifar10-jpeg"))
    parser.add_argument("--work", type=Path, default=Path("runs/transfer_whole"))
    parser.add_argument("--out", type=Path, default=Path("results/transfer_whole.csv"))
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=STARTS)
    parser.add_argument("--list", action="store_true", help="only print the queue")
    arguments = parser.parse_args()
    there = importlib.util.find_spec("iatransfer") is not None
    runs = [run for run in queue() if run.start in arguments.starts and (there or run.start != "iatransfer")]
    if arguments.list:
        print("\n".join(str(run) for run in runs))
        return
    keep_freed_memory()
    study = Study(arguments)
    for run in runs:
        study.take(run)


if __name__ == "__main__":
    main()
