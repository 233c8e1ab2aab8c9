"""A detector and a U-Net to half of their MACs: the metric before, between and after -> results/tasks_accuracy.csv.

    python benchmarks/tasks_accuracy.py [--tasks segmentation detection] [--seeds 1 2 3] [--work DIR] [--out FILE]

torchvision's SSDLite320 with MobileNetV3-Large (at 160 pixels) and segmentation-models-pytorch's U-Net with ResNet-18,
from random weights, on the images that `examples/tasks/` draws, new ones in every step: training with the L1 penalty on
BatchNorm's scales, a plan for half of the MACs, the cut, its repair (constants absorbed, then statistics, or layers
fitted; what follows starts from the better on training images), fine-tuning. The metrics are mAP at an overlap of 0.5,
and mean IoU, on images that no training saw and no choice was made on. `longer` is the unpruned network after the steps
and rates of the fine-tuning, which also give it more training. A row per task and seed, which draws weights and images;
the same command goes on where it was cut off, with the networks that `--work` holds.
"""

import argparse
import copy
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from table import rows_of_these_versions, write_rows

sys.path.insert(0, str(Path(__file__).parent.parent / "examples" / "tasks"))
import detection
import segmentation

BATCH = 8
IMAGES = 64  # training images of a repair
TRAINED, TUNED = 1_000, 1_000_000  # of a seed's images: the first of each training
Row = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """A network, its images, its loss in training, and what it is judged by."""

    model: str
    metric: str
    build: Callable[[], nn.Module]
    drawn: Callable[[int, int], tuple[Any, Any]]
    loss: Callable[[nn.Module, Any, Any], Tensor]
    judge: Callable[[nn.Module], float]
    example: Callable[[int], Any]  # with targets for a detector, whose losses are followed, too
    steps: tuple[int, int]  # of training, and of fine-tuning
    rates: tuple[float, float]
    strength: float


def detector() -> nn.Module:
    """SSDLite for two classes; torchvision brings every image to the size that is fixed."""
    return detection.detector(160)


def of_detector(model: nn.Module, images: Any, targets: Any) -> Tensor:
    return torch.stack([*model(images, targets).values()]).sum()


def of_segmenter(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    return F.cross_entropy(model(images), classes)


TASKS = {
    "segmentation": Task(
        "smp Unet resnet18", "mean IoU", lambda: smp.Unet("resnet18", encoder_weights=None, classes=3),
        segmentation.drawn, of_segmenter, lambda model: segmentation.mean_iou(model, 256),
        lambda seed: segmentation.drawn(2, seed)[0],
        (400, 200), (2e-3, 1e-3), 1e-3,
    ),
    "detection": Task(
        "torchvision ssdlite320_mobilenet_v3_large", "mAP@0.5", detector,
        detection.drawn, of_detector, lambda model: detection.mean_average_precision(model, 256),
        lambda seed: detection.drawn(2, seed),
        (600, 300), (2e-3, 1e-3), 1e-3,
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=[*TASKS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--work", type=Path, default=Path("runs/tasks_accuracy"), help="for the trained networks")
    parser.add_argument("--out", type=Path, default=Path("results/tasks_accuracy.csv"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for seed in arguments.seeds:
        for name in arguments.tasks:
            if (name, str(seed)) not in {(row["task"], row["seed"]) for row in rows_of_these_versions(arguments.out)}:
                file = arguments.work / f"{name}-{seed}.pt"
                row: Row = {"task": name, "seed": seed, **measured(TASKS[name], seed, file)}
                print(row, flush=True)
                write_rows(arguments.out, [*rows_of_these_versions(arguments.out), row], show=False)


def measured(task: Task, seed: int, file: Path) -> Row:
    """One row: train, cut, repair, fine-tune."""
    start, first = time.perf_counter(), 10_000_000 * (1 + seed)
    batches = [task.drawn(BATCH, first + number) for number in range(IMAGES // BATCH)]
    model = trained(task, seed, first, batches, file)
    row: Row = {"model": task.model, "metric": task.metric, "steps": task.steps[0], "tuned_steps": task.steps[1]}
    row |= {"strength": task.strength, "dense": task.judge(model)}
    print(row, f"{time.perf_counter() - start:.0f} s", flush=True)
    plan = netslim.plan(model, task.example(first), target_macs=0.5)
    row |= {"macs": plan.before.macs, "macs_left": plan.after.macs / plan.before.macs}
    row |= {"params": plan.before.params, "params_left": plan.after.params / plan.before.params}
    cut = netslim.apply(model, plan)
    statistics, fitted = copy.deepcopy(cut), copy.deepcopy(cut)
    netslim.repair_(statistics, model, batches)
    netslim.repair_(fitted, model, batches, reconstruct=True)
    row |= {"cut": task.judge(cut), "repaired": task.judge(statistics), "fitted": task.judge(fitted)}
    print(row, f"{time.perf_counter() - start:.0f} s", flush=True)
    small = min(statistics, fitted, key=lambda network: lost(task, network, batches))
    train_(task, small, first + TUNED, 1)
    row["tuned"] = task.judge(small)
    print(row, f"{time.perf_counter() - start:.0f} s", flush=True)
    train_(task, model, first + TUNED, 1)
    row["longer"] = task.judge(model)
    return row


def trained(task: Task, seed: int, first: int, batches: list[tuple[Any, Any]], file: Path) -> nn.Module:
    """The unpruned network, from the file if there is one."""
    torch.manual_seed(seed)
    model = task.build()
    if file.exists():
        model.load_state_dict(torch.load(file, weights_only=True))
        return model
    train_(task, model, first + TRAINED, 0, task.strength)
    netslim.recalibrate_(model, batches)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), file)
    return model


def train_(task: Task, model: nn.Module, first: int, phase: int, strength: float = 0.0) -> None:
    """Adam with a rate that falls to zero along a cosine; the penalty's lines go around its step."""
    steps = task.steps[phase]
    optimizer = torch.optim.Adam(model.train().parameters(), task.rates[phase])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    penalty = netslim.penalty(model, "l1", strength=strength) if strength else None
    for step in range(steps):
        loss = task.loss(model, *task.drawn(BATCH, first + step))
        optimizer.zero_grad()
        loss.backward()
        if penalty:
            penalty.before_step_()
        optimizer.step()
        if penalty:
            penalty.after_step_()
        schedule.step()


@torch.no_grad()
def lost(task: Task, model: nn.Module, batches: list[tuple[Any, Any]]) -> float:
    """The loss in training mode of a copy, since detectors give theirs in no other."""
    network = copy.deepcopy(model).train()
    return float(torch.stack([task.loss(network, *batch) for batch in batches]).mean())


if __name__ == "__main__":
    main()
