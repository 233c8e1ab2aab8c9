"""Accuracy against epochs of fine-tuning, on all images of cifar10-jpeg -> results/real.csv.

    python benchmarks/real.py --weights resnet20-12fca82f.th --images cifar10-jpeg --work runs/real
    python benchmarks/real.py --weights resnet20-12fca82f.th --images cifar10-jpeg --work runs/real --list

A queue of runs, the most telling first; the same command goes on where it was cut off, in the middle of an epoch
(every 100 steps are kept in `--work`). Each network is cut to a share of its MACs in each of `real_ways.WAYS`, and all
ways get the same fine-tuning: SGD, one cycle, the same images in the same order, with the unpruned network as teacher
and without. The networks are ResNets of He et al. 2016 (shortcuts of option A), trained on these images from public
weights on, and netslim's pre-activation ResNet-29, trained from scratch; on a CPU that ResNet-56 is the teacher of the
other two.

45,000 images train; 5,000 of the training images choose the criterion and the rate; the 10,000 test images choose
nothing. Rows with 0 epochs are what is left before fine-tuning. `seconds` are those of the training steps, on a CPU its
own seconds; on a GPU (`--device cuda`) the unpruned networks are trained for longer.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

import netslim
from netslim.core.processes.allocator import keep_freed_memory
from netslim.core.runs.seeding import seed_torch
from netslim.data import Split, split_validation
from real_rows import RATED_BY, RATED_ON, RATES, chosen_rate
from real_training import Training, images_of, save, top1, train_
from real_ways import CRITERIA, IMAGES, OWN_CRITERION, WAYS, Case
from reconstruction import public_network
from table import rows_of_these_versions, write_rows

HELD_OUT = 0.1
PROXIMAL = 3e-3  # strength of the sparsity training
Row = dict[str, Any]
CYCLE = Training(epochs=6, rate=0.05, compiled=True)
DENSE = {
    "resnet20": (replace(CYCLE, epochs=16, teacher=True),),
    "resnet56": (CYCLE,),
    "preresnet29": (Training(epochs=40, rate=0.1, weight_decay=5e-4), replace(CYCLE, epochs=16, teacher=True)),
}
TAUGHT_BY = {"resnet20": "resnet56", "preresnet29": "resnet56"}  # where there is a teacher
DENSE_ON_GPU = dict.fromkeys(DENSE, (Training(epochs=30, rate=0.1, weight_decay=5e-4),))
DENSE_ON_GPU["preresnet29"] = (Training(epochs=80, rate=0.1, weight_decay=5e-4),)
SPARSE = (Training(epochs=2, rate=0.03, penalty=PROXIMAL),)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One fine-tuning: a row. A rate of None is the chosen one."""

    network: str
    way: str
    share: float
    epochs: int
    seed: int
    teacher: bool
    rate: float | None = None

    @property
    def name(self) -> str:
        """For the log."""
        return " ".join(str(value) for value in asdict(self).values())


def queue(networks: list[str]) -> Iterator[Run]:
    """All runs, the most telling first."""
    for network in networks:
        tried = product(RATES, RATED_BY)
        yield from (Run(network=network, way=way, teacher=False, rate=rate, **RATED_ON) for rate, way in tried)
        first, others = (1,), (2, 3)
        stages = [(0.33, 1, first + others), (0.33, 5, first), (0.5, 1, first + others), (0.33, 5, others)]
        stages += [(0.5, 5, first + others), (0.33, 15, first + others), (0.5, 15, first + others)]
        for share, epochs, seeds in stages:
            for sparse, teacher, seed in product((False, True), (False, True), seeds):
                for way in WAYS:
                    if ("sparsity" in way) == sparse:
                        yield Run(network=network, way=way, share=share, epochs=epochs, seed=seed, teacher=teacher)


# Networks and rows


class Study:
    """What the runs share: images, trained networks and cuts, each made at its first use and kept on disk."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.work, self.out, self.device = arguments.work, arguments.out, arguments.device
        self.weights: dict[str, Path] = {path.stem.partition("-")[0]: path for path in arguments.weights}
        dataset = images_of(arguments.images, self.work)
        train, self.held_out = split_validation(dataset.train, HELD_OUT, seed=0)
        self.dataset = replace(dataset, train=train)
        self.rows: list[Row] = rows_of_these_versions(self.out)  # those of other versions go

    def top1(self, model: nn.Module, split: Split) -> float:
        """Share of the images that are recognised."""
        return top1(model, split, self.dataset, self.device)

    def trained(self, network: str, *, sparse: bool) -> tuple[nn.Module, Row]:
        """The unpruned network, and what is known of it."""
        longer = DENSE if self.device == "cpu" else DENSE_ON_GPU
        cycles, name = (SPARSE, "sparsity") if sparse else (longer[network], "dense")
        model, facts = None, dict[str, Any]()
        for number, training in enumerate(cycles, 1):
            file = self.work / network / f"{name}-{number}.pt"
            if not file.exists():
                if model is None:
                    model = self.trained(network, sparse=False)[0] if sparse else self.untrained(network)
                self._train_cycle(model, training, file, {"network": network, "way": name})
            content = torch.load(file, weights_only=False)
            model, facts = content["model"], content["facts"]
        assert model is not None
        return model, facts

    def _train_cycle(self, model: nn.Module, training: Training, file: Path, called: Row) -> None:
        kept = file.with_suffix(".part")
        teacher = self.trained(TAUGHT_BY[called["network"]], sparse=False)[0] if training.teacher else None
        seconds = train_(model, self.dataset, training, kept, self.device, teacher)
        found = {"top1": self.top1(model, self.dataset.test), "held_out": self.top1(model, self.held_out)}
        found |= {"epochs": training.epochs, "rate": training.rate, "teacher": training.teacher, "seconds": seconds}
        save(file, {"model": model, "facts": found})
        self.add({**called, **found, **self.size(model)})
        kept.unlink(missing_ok=True)

    def untrained(self, network: str) -> nn.Module:
        """The public network with the statistics of these images, or netslim's own with new weights."""
        if network not in self.weights:
            seed_torch(0, "init")
            return netslim.create_model("resnet", depth=29, num_classes=10)
        model = public_network(self.weights[network])
        netslim.recalibrate_(model, Case(model, self.dataset, self.held_out, 0).images(20))
        return model

    def size(self, model: nn.Module) -> Row:
        """MACs and parameters."""
        cost = netslim.measure(model, torch.zeros(1, 3, 32, 32))
        return {"macs": cost.macs, "params": cost.params}

    def case(self, run: Run) -> tuple[Case, Row]:
        """The network that a run starts from, and what is known of it."""
        model, facts = self.trained(run.network, sparse="sparsity" in run.way)
        return Case(model, self.dataset, self.held_out, run.seed), facts

    def criterion(self, run: Run) -> str:
        """The way's own, or that after which, layers fitted, more held-out images are recognised; chosen by seed 1."""
        if run.way in OWN_CRITERION:
            return OWN_CRITERION[run.way]
        file = self.work / run.network / f"criterion-{run.share}{'-sparse' * ('sparsity' in run.way)}.pt"
        if not file.exists():
            case = replace(self.case(run)[0], seed=1)
            found = {name: self.top1(WAYS["netslim"](case, run.share, name)[1], self.held_out) for name in CRITERIA}
            print("held out, fitted:", found, flush=True)
            save(file, found)
        found = torch.load(file)
        return max(CRITERIA, key=found.__getitem__)

    def start(self, run: Run) -> tuple[nn.Module, Row]:
        """The network of a run before fine-tuning, and what its row says of that."""
        file = self.work / run.network / f"{run.way}-{run.share}-{run.seed}.pt".replace(" ", "_")
        if not file.exists():
            criterion = self.criterion(run) if run.way.startswith("netslim") else ""
            case, facts = self.case(run)
            cut, repaired = WAYS[run.way](case, run.share, criterion)
            dense = self.trained(run.network, sparse=False)[1]["top1"]  # before the sparsity training, where one was
            known = {"network": run.network, "way": run.way, "criterion": criterion, "share": run.share,
                     "seed": run.seed, "images": IMAGES if criterion else 0, **self.size(repaired),
                     "before": facts["epochs"] if "sparsity" in run.way else 0, "top1_dense": dense,
                     "top1_cut": self.top1(cut, self.dataset.test)}  # fmt: skip
            known["top1_repaired"] = known["top1_cut"] if repaired is cut else self.top1(repaired, self.dataset.test)
            save(file, {"model": repaired, "known": known})
            nothing = {"epochs": 0, "spent": known["before"], "top1": known["top1_repaired"]}
            self.add({**known, **nothing, "held_out": self.top1(repaired, self.held_out)})
        content = torch.load(file, weights_only=False)
        return content["model"], content["known"]

    def take(self, run: Run) -> None:
        """Makes a run's row, unless it is there."""
        rate = chosen_rate(self.rows, run.network) if run.rate is None else run.rate
        if any(self._is(row, run, rate) for row in self.rows):
            return
        try:
            model, known = self.start(run)
        except Exception as error:  # another library's: what it can't do is a result
            if not run.way.startswith("Torch-Pruning"):
                raise
            self.add({**asdict(run), "rate": rate, "error": f"{type(error).__name__}: {error}"[:200]})
            return
        training = Training(epochs=run.epochs, rate=rate, seed=run.seed, teacher=run.teacher)
        kept = self.work / run.network / f"{replace(run, rate=rate).name}.part".replace(" ", "_")
        seconds = train_(model, self.dataset, training, kept, self.device, self.trained(run.network, sparse=False)[0])
        top1, held_out = self.top1(model, self.dataset.test), self.top1(model, self.held_out)
        self.add({**known, "teacher": run.teacher, "rate": rate, "epochs": run.epochs,
                  "spent": known["before"] + run.epochs, "top1": top1, "held_out": held_out,
                  "seconds": seconds})  # fmt: skip
        kept.unlink(missing_ok=True)

    @staticmethod
    def _is(row: Row, run: Run, rate: float) -> bool:
        wanted = {**asdict(run), "rate": rate}
        return all(str(row.get(key)) == str(value) for key, value in wanted.items())

    def add(self, row: Row) -> None:
        """Writes the table with one more row."""
        data = {"data": "cifar10-jpeg", "train_images": len(self.dataset.train), "test_images": len(self.dataset.test)}
        self.rows.append({**dict.fromkeys(COLUMNS, ""), **data, "device": self.device, **row})
        write_rows(self.out, self.rows, show=False)
        print({key: value for key, value in row.items() if value != ""}, flush=True)


COLUMNS = (
    *("network", "data", "way", "criterion", "share", "epochs", "before", "spent", "teacher", "rate", "seed"),
    *("top1_dense", "top1_cut", "top1_repaired", "top1", "held_out", "macs", "params", "seconds"),
    *("images", "train_images", "test_images", "device", "error"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="ResNets, in the order of the queue")
    parser.add_argument("--images", type=Path, default=Path("cifar10-jpeg"))
    parser.add_argument("--work", type=Path, default=Path("runs/real"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("results/real.csv"))
    parser.add_argument("--list", action="store_true", help="only print the queue")
    arguments = parser.parse_args()
    runs = list(queue([*(path.stem.partition("-")[0] for path in arguments.weights), "preresnet29"]))
    if arguments.list:
        print("\n".join(run.name for run in runs))
        return
    keep_freed_memory()
    study = Study(arguments)
    for run in runs:
        study.take(run)


if __name__ == "__main__":
    main()
