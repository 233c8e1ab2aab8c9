"""Does a transfer help? Sources trained on five of CIFAR-10's classes, targets trained for a short time on few images
of the other five, each from several starts and at several learning rates; one CSV row per start.

    python benchmarks/transfer_study.py sources --images cifar10-jpeg --work runs/transfer
    python benchmarks/transfer_study.py runs --images cifar10-jpeg --work runs/transfer
    python benchmarks/transfer_study.py table --work runs/transfer --out results/transfer.csv

`--images` names a folder with train/<class>/ and test/<class>/. `runs` appends every finished run to runs.jsonl and
skips those that are there or that another process has claimed: start as many processes as there are cores. The
learning rate of a start is chosen on held-out training images with the first seed; all accuracies are on the test
images, which choose nothing.
"""

import argparse
import functools
import json
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import netslim
from netslim.core.protocols import PrunableModel
from netslim.core.runs.seeding import seed_torch
from netslim.data import ImageDataset, Split, TrainBatches, evaluation_batches, load_dataset
from netslim.stages.shared.calibration_data import calibration_images
from netslim.stages.train import run as train
from netslim.stages.train.config import TrainConfig
from netslim.training.bn_statistics import recalibrate_
from netslim.training.evaluate import evaluate
from netslim.training.optimizer import build_sgd
from netslim.training.penalties import no_penalty
from netslim.training.precision import Precision
from netslim.training.schedule import rate_factor
from netslim.training.step import TrainStep
from netslim.transfers.strategies.select import SelectOptions, select
from table import write_rows

SOURCES = {"resnet18": 12, "resnet50": 8}  # epochs; images of 64 pixels, so that the source's stem has something to see
SOURCE_SIZE = 64
DEPTH = 29
IMAGES, HELD_OUT = 2500, 1500
GLANCE = 1000  # test images of the looks before the end
EPOCHS, BATCH_SIZE, WEIGHT_DECAY = 10, 64, 5e-4
SHOWN = (0, 1, 3, EPOCHS)
RATES = {"scratch": (0.05, 0.1, 0.2), "guide": (0.05, 0.1, 0.2)}
TRANSFER_RATES = (0.025, 0.05, 0.1)  # of all other starts: the first one tried was best at scratch's lowest
SEEDS = (1, 2, 3)
CALIBRATION = 8  # batches of 128

# Name of a start -> what is given to `select`; the others are built below.
SELECT = {
    "select": {},
    "select by spacing": {"select_by": "spacing"},
    "select merging stage 4": {"last_stage": "merge"},
    "select without consistency": {"consistent": False},
    "select without folding": {"fold": False},
    "select without branch scaling": {"scale_branches": False},
    "select without distinct copies": {"distinct": False},
    "select without rescaling": {"rescale": False},
    "select without depth spread": {"spread": False},
}
WHOLE = ("scratch", "guide", "select")  # starts that get all epochs, too
STARTS = ("scratch", "guide", *SELECT, "select without recalibration", "exact with CIFAR stem")


def main() -> None:
    args = parse()
    {"sources": train_sources, "runs": run_all, "table": write_table}[args.command](args)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["sources", "runs", "table"])
    parser.add_argument("--images", type=Path, default=Path("cifar10-jpeg"))
    parser.add_argument("--work", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--sources", nargs="+", default=list(SOURCES))
    parser.add_argument("--starts", nargs="+", default=list(STARTS), choices=STARTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="the first chooses the rate")
    parser.add_argument("--out", type=Path, default=Path("results/transfer.csv"))
    return parser.parse_args()


def half(args: argparse.Namespace, which: int) -> Path:
    """A folder with every second class of the images, as links: 0 for the sources' classes, 1 for the targets'."""
    folder = args.work / ("source", "target")[which]
    for part in ("train", "test"):
        classes = sorted(path for path in (args.images / part).iterdir() if path.is_dir())
        (folder / part).mkdir(parents=True, exist_ok=True)
        for path in classes[which::2]:
            link = folder / part / path.name
            if not link.exists():
                link.symlink_to(path.resolve())
    return Path(folder)


def train_sources(args: argparse.Namespace) -> None:
    for name in args.sources:
        train.run(
            TrainConfig(
                arch=f"torchvision/{name}", dataset="folder", data_dir=half(args, 0), image_size=SOURCE_SIZE,
                epochs=SOURCES[name], batch_size=128, schedule="onecycle", lr=0.1, nesterov=True,
                weight_decay=WEIGHT_DECAY, precision="bf16", save=args.work / name,
            )
        )  # fmt: skip


@dataclass(frozen=True, order=True)
class Run:
    """One training: from what, how long, at which rate, with which seed."""

    source: str
    start: str
    epochs: int
    lr: float
    seed: int

    @property
    def row(self) -> tuple[str, str, int]:
        """What the runs of one row of the table share."""
        return self.source, self.start, self.epochs


def run_all(args: argparse.Namespace) -> None:
    """Every row at every rate with the first seed; then every row at its best rate with the other seeds."""
    dataset = load_dataset("folder", half(args, 1))
    first, *others = args.seeds
    work_off(args, dataset, [Run(*row, rate, first) for row in rows(args) for rate in rates_of(row)])
    while True:
        best = best_rates(finished(args))
        if all(row in best for row in rows(args)):
            break
        time.sleep(5)  # for the other processes
    work_off(args, dataset, [Run(*row, best[row], seed) for seed in others for row in rows(args)])


def rows(args: argparse.Namespace) -> list[tuple[str, str, int]]:
    """(source, start, epochs) of all rows; scratch has no source, and the parts are tried on half the epochs only."""
    found = [(source, start, EPOCHS) for source in args.sources for start in args.starts if start in WHOLE]
    found += [(source, start, EPOCHS // 2) for source in args.sources for start in args.starts if start != "guide"]
    return list(dict.fromkeys(("" if row[1] == "scratch" else row[0], *row[1:]) for row in found))


def rates_of(row: tuple[str, str, int]) -> tuple[float, ...]:
    return RATES.get(row[1], TRANSFER_RATES)


def work_off(args: argparse.Namespace, dataset: ImageDataset, runs: list[Run]) -> None:
    """Does what is neither finished nor claimed by another process."""
    for run in runs:
        if run not in finished(args) and claim(args, run):
            one = run_once(args, dataset, run)
            with (args.work / "runs.jsonl").open("a") as file:
                file.write(json.dumps(one) + "\n")
            print(one, flush=True)


def claim(args: argparse.Namespace, run: Run) -> bool:
    """Whether this process is the first to want the run. After a crash, remove the folder `claims`."""
    path = args.work / "claims" / "-".join(str(value).replace(" ", "_") for value in asdict(run).values())
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def finished(args: argparse.Namespace) -> dict[Run, dict[str, Any]]:
    path = args.work / "runs.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {Run(**line["run"]): line for line in lines}


def best_rates(runs: dict[Run, dict[str, Any]], complete: bool = True) -> dict[tuple[str, str, int], float]:
    """Row -> the rate with the highest accuracy on held-out images with the first seed, of rows tried at all rates."""
    first = min((run.seed for run in runs), default=0)
    tried: dict[tuple[str, str, int], dict[float, float]] = {}
    for run, line in runs.items():
        if run.seed == first:
            tried.setdefault(run.row, {})[run.lr] = line["held_out"]
    rows = [row for row, found in tried.items() if not complete or set(found) >= set(rates_of(row))]
    return {row: max(tried[row], key=tried[row].__getitem__) for row in rows}


def run_once(args: argparse.Namespace, dataset: ImageDataset, run: Run) -> dict[str, Any]:
    clock = time.perf_counter()
    model = build(args, dataset, run)
    top1, held_out = fit(model, dataset, run)
    cost = netslim.measure(model, torch.zeros(1, 3, 32, 32))
    seconds = time.perf_counter() - clock
    return {"run": asdict(run), "held_out": held_out, "top1": top1, **asdict(cost), "seconds": seconds}


def build(args: argparse.Namespace, dataset: ImageDataset, run: Run) -> PrunableModel:
    """A target network at one of the starts; wherever there are images, BatchNorm statistics are estimated on them."""
    seed_torch(run.seed, "init")
    strategy, _, variant = run.start.partition(" ")
    if strategy == "exact":
        target = netslim.create_model(f"torchvision/{run.source}", num_classes=dataset.num_classes, stem="cifar")
    else:
        target = netslim.create_model("resnet", depth=DEPTH, num_classes=dataset.num_classes)
    if strategy == "scratch":
        return target
    state = netslim.load(args.work / run.source / "model_best.pth.tar").state_dict()
    find: Any = strategy
    if strategy == "select":
        find = functools.partial(select, options=SelectOptions(**SELECT.get(run.start, {})))
    if variant == "without recalibration":
        return netslim.transfer(state, target, find)[0]
    images = calibration_images(few(dataset), CALIBRATION, run.seed)
    model, _ = netslim.transfer(state, target, find, images)
    recalibrate_(model, images)
    return model


def few(dataset: ImageDataset) -> ImageDataset:
    """The data set with only the images that the targets are trained on; the same for all."""
    return replace(dataset, train=part_of(dataset.train, 0, IMAGES))


def part_of(split: Split, first: int, count: int) -> Split:
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[first : first + count]
    return Split(split.images[order], split.labels[order])


def fit(model: PrunableModel, dataset: ImageDataset, run: Run) -> tuple[dict[int, float], float]:
    """Trains; (test accuracy by number of epochs, accuracy on held-out images at the end)."""
    precision = Precision("bf16", channels_last=True)
    precision.arrange_(model)
    optimizer = build_sgd(model, lr=run.lr, momentum=0.9, weight_decay=WEIGHT_DECAY, nesterov=True)
    step = TrainStep(model, optimizer, precision=precision, penalty=no_penalty(model))
    batches = TrainBatches(few(dataset).train, dataset, batch_size=BATCH_SIZE, seed=run.seed, device="cpu")
    glance = part_of(dataset.test, 0, GLANCE)
    top1 = {0: accuracy(model, dataset, glance)}
    for epoch in range(run.epochs):
        model.train()
        for number, (images, labels) in enumerate(batches.epoch(epoch)):
            for group in optimizer.param_groups:
                group["lr"] = run.lr * rate_factor("onecycle", epoch, run.epochs, number / len(batches))
            step(images, labels)
        if epoch + 1 in SHOWN[:-1]:
            top1[epoch + 1] = accuracy(model, dataset, glance)
    top1[run.epochs] = accuracy(model, dataset, dataset.test)
    return top1, accuracy(model, dataset, part_of(dataset.train, IMAGES, HELD_OUT))


def accuracy(model: PrunableModel, dataset: ImageDataset, split: Split) -> float:
    return evaluate(model, evaluation_batches(split, dataset, batch_size=256, device="cpu")).top1


def write_table(args: argparse.Namespace) -> None:
    runs = finished(args)
    best = best_rates(runs, complete=False)
    scratch = [line["top1"][str(EPOCHS)] for run, line in runs.items() if run.row == ("", "scratch", EPOCHS)
               and run.lr == best[run.row]]  # fmt: skip
    write_rows(args.out, [table_row(runs, row, best[row], statistics.mean(scratch)) for row in best])


def table_row(
    runs: dict[Run, dict[str, Any]], row: tuple[str, str, int], rate: float, scratch: float
) -> dict[str, Any]:
    lines = {run.seed: line for run, line in runs.items() if run.row == row and run.lr == rate}
    source, start, epochs = row
    numbers: dict[str, Any] = {}
    for epoch in SHOWN[:-1]:
        values = [line["top1"][str(epoch)] for line in lines.values()]
        numbers |= {f"top1_{epoch}": statistics.mean(values), f"sd_{epoch}": spread(values)}
    final = [line["top1"][str(epochs)] for line in lines.values()]
    numbers |= {"top1_end": statistics.mean(final), "sd_end": spread(final)}
    line = next(iter(lines.values()))
    return {
        "data": "cifar10-jpeg, 5 classes",
        "images": IMAGES,
        "source": f"torchvision {source}" if source else "",
        "start": start,
        "depth": "" if start.startswith("exact") else DEPTH,
        "params": line["params"],
        "macs": line["macs"],
        "epochs": epochs,
        "lr": rate,
        "rates_tried": " ".join(str(run.lr) for run in sorted(runs) if run.row == row and run.seed == min(lines)),
        "seeds": " ".join(str(seed) for seed in sorted(lines)),
        **numbers,
        "end_minus_scratch": statistics.mean(final) - scratch,
    }


def spread(values: list[float]) -> float | str:
    """Standard deviation of two values or more."""
    return statistics.stdev(values) if len(values) > 1 else ""


if __name__ == "__main__":
    main()
