"""The images of a study in memory, and a training that goes on in the middle of an epoch."""

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import datasets
from torchvision.transforms.functional import pil_to_tensor

import netslim
from netslim.data import Augmentation, ImageDataset, Split, TrainBatches, evaluation_batches
from netslim.training.cuda_graphs import CudaRecorder, Graphs
from netslim.training.distillation import Teacher
from netslim.training.optimizer import build_sgd
from netslim.training.penalties import PENALTIES, no_penalty
from netslim.training.penalties.strength import Progress
from netslim.training.precision import Precision
from netslim.training.schedule import rate_factor
from netslim.training.step import TrainStep, compiled_for
from reconstruction import MEAN, STD

BATCH, KEPT_EVERY = 128, 100  # images per step; steps between two states on disk


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained.

    Attributes:
        penalty: strength of a proximal one.
        compiled: on a CPU that saves a third of the time of an unpruned network, and nothing at odd widths.
    """

    epochs: int
    rate: float
    seed: int = 0
    teacher: bool = False
    penalty: float = 0.0
    weight_decay: float = 1e-4
    compiled: bool = False


def images_of(folder: Path, cache: Path) -> ImageDataset:
    """All images in memory; decoded once."""
    parts = {}
    for part in ("train", "test"):
        file = cache / f"{part}.pt"
        if not file.exists():
            found = datasets.ImageFolder(folder / part, pil_to_tensor)
            stacked = torch.stack([image for image, _ in found])
            save(file, {"images": stacked, "labels": torch.tensor(found.targets), "classes": found.classes})
        parts[part] = torch.load(file)
    splits = {part: Split(found["images"], found["labels"]) for part, found in parts.items()}
    return ImageDataset(
        name="cifar10-jpeg", class_names=tuple(parts["train"]["classes"]), mean=MEAN, std=STD,
        augmentation=Augmentation(pad=4, flip=True), **splits,
    )  # fmt: skip


def save(path: Path, content: Any) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def top1(model: nn.Module, split: Split, dataset: ImageDataset, device: str) -> float:
    """Share of the images that are recognised."""
    model = copy.deepcopy(model).to(device, memory_format=torch.channels_last)
    batches = evaluation_batches(split, dataset, batch_size=250, device=device)
    return round(netslim.evaluate(model, batches).top1, 4)


def train_(
    model: nn.Module, dataset: ImageDataset, training: Training, kept: Path, device: str, teacher: nn.Module | None
) -> float:
    """Trains in place, from the state in `kept` if there is one; the seconds that the steps took in all."""
    model.train().to(device)
    batches = TrainBatches(dataset.train, dataset, batch_size=BATCH, seed=training.seed, device=device)
    step = step_of(model, training, teacher if training.teacher else None, device)
    if step.compiled:
        step.rehearse(*next(batches.epoch(0)))
    done, seconds = restored(kept, step)
    now = time.process_time if device == "cpu" else time.perf_counter
    while done < training.epochs * len(batches):
        epoch, start = divmod(done, len(batches))
        clock = now()
        for images, labels in batches.epoch(epoch, start):
            set_rate(step, training, epoch, (done - epoch * len(batches)) / len(batches))
            step(images, labels)
            done += 1
            if done % KEPT_EVERY == 0:
                seconds, clock = seconds + now() - clock, now()
                save(kept, {"model": model.state_dict(), "optimizer": step.optimizer.state_dict(), "done": done,
                            "seconds": seconds})  # fmt: skip
                print(f"{kept.stem}: {done} of {training.epochs * len(batches)} steps, {seconds:.0f} s", flush=True)
        seconds += now() - clock
    model.eval().to("cpu")
    return seconds


def step_of(model: nn.Module, training: Training, teacher: nn.Module | None, device: str) -> TrainStep:
    """A training step in bf16."""
    precision = Precision("bf16", channels_last=True)
    precision.arrange_(model)
    penalty = PENALTIES.get("proximal").build(model, training.penalty) if training.penalty else no_penalty(model)
    optimizer = build_sgd(
        model, lr=training.rate, momentum=0.9, weight_decay=training.weight_decay, scale_decay=not training.penalty
    )
    return TrainStep(
        model, optimizer, precision=precision, penalty=penalty,
        teacher=Teacher(copy.deepcopy(teacher).to(device)) if teacher else None,
        compiled=compiled_for(model, BATCH) if training.compiled and device == "cpu" else {},
        graphs=Graphs(CudaRecorder(torch.device(device)), print) if device != "cpu" else None,
    )  # fmt: skip


def set_rate(step: TrainStep, training: Training, epoch: int, within: float) -> None:
    """The rate of the next step, and what the penalty follows."""
    factor = rate_factor("onecycle", epoch, training.epochs, within)
    for group in step.optimizer.param_groups:
        group["lr"] = training.rate * factor
    step.penalty.advance(Progress(done=epoch + within, epochs=training.epochs, rate=factor))


def restored(kept: Path, step: TrainStep) -> tuple[int, float]:
    """Steps and seconds of the state on disk, which the network and the optimizer get; 0 without one."""
    if not kept.exists():
        return 0, 0.0
    state = torch.load(kept)
    step.model.load_state_dict(state["model"])
    step.optimizer.load_state_dict(state["optimizer"])
    return state["done"], state["seconds"]
