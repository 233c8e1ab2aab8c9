"""How a phase trains: optimizer, penalty, teacher, step and its recording, from the configuration."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from netslim.core.checkpoint import read_checkpoint
from netslim.core.distributed import World
from netslim.core.errors import ArgumentError, CheckpointError, UsageError, either, setting, unknown_name
from netslim.core.protocols import PrunableModel
from netslim.data import ImageDataset
from netslim.network import restore
from netslim.pruning.freed_macs import freed_macs
from netslim.report.console import say
from netslim.stages.shared.datasets import dataset_name
from netslim.stages.train.config import TrainConfig
from netslim.training.cuda_graphs import CudaRecorder, Graphs, Recorder
from netslim.training.distillation import Teacher
from netslim.training.optimizer import build_sgd
from netslim.training.penalties import PENALTIES, Penalty, PenaltyOptions, no_penalty
from netslim.training.penalties.strength import check_schedule
from netslim.training.precision import Precision
from netslim.training.step import TrainStep

WEIGHTS = ("equal", "macs")
CAPTURES = ("auto", "off", "graphs", "compile")
OF_PENALTY = ("penalty", "penalty_warmup", "penalty_schedule", "penalty_weights", "polarity")
OF_TEACHER = ("teacher_weight", "temperature")


def check_step(config: TrainConfig) -> None:
    """Raises UsageError for settings of penalty and teacher that contradict each other, before anything is opened."""
    if config.reinitialize and config.refine is None:
        raise UsageError("`reinitialize=True` keeps the shape of a pruned network: type `refine=FILE` with it")
    if config.capture not in CAPTURES:
        raise unknown_name("capture", config.capture, CAPTURES)
    PENALTIES.get(config.penalty)
    check_schedule(config.penalty_schedule, config.penalty_warmup, config.epochs)
    if config.penalty_weights not in WEIGHTS:
        raise ArgumentError("penalty_weights", config.penalty_weights, f"type {either(WEIGHTS)}")
    if not config.sparsity_regularization:
        config.refuse(OF_PENALTY, "there is no penalty: type `sparsity_regularization=True` with it")
    if config.penalty != "polarization":
        config.refuse(("polarity",), f"penalty {config.penalty} has none: type `penalty='polarization'` with it")
    if config.teacher is None:
        config.refuse(OF_TEACHER, "there is no teacher: type `teacher=FILE` with it")
    elif config.teacher.resolve().parent == config.save.resolve():
        raise UsageError(f"{setting('teacher', config.teacher)} is a file that this run writes; give another `save`")


def build_step(
    config: TrainConfig, model: PrunableModel, precision: Precision, dataset: ImageDataset, teacher: Teacher | None
) -> TrainStep:
    """The training step of a network that is on its device, in its memory layout."""
    optimizer = build_sgd(
        model,
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
        scale_decay=decays_scales(config),
    )
    return TrainStep(
        model,
        optimizer,
        precision=precision,
        penalty=_penalty(config, model, dataset),
        label_smoothing=config.label_smoothing,
        clip_grad_norm=config.clip_grad_norm,
        accumulate=config.accumulate,
        teacher=teacher,
    )


def record_step(
    config: TrainConfig, step: TrainStep, device: torch.device, first_batch: Callable[[], tuple[Tensor, Tensor]]
) -> Graphs | None:
    """Has the step recorded, and the network compiled before, if the configuration says so and it is possible.

    What is asked for and can't be is said in one line; so is what fails later.

    Args:
        config: of the run.
        step: complete: with its processes, and with the momentum that it starts from.
        device: that it works on.
        first_batch: makes a batch as in training, for the compiler, which looks at its shape.

    Returns:
        What evaluations can be recorded with, too; None if nothing is recorded.
    """
    if config.capture == "off" or (config.capture == "auto" and device.type == "cpu"):
        return None
    fp16 = (
        "in fp16 the host looks at every step's gradients; type `precision='bf16'`" if step.scaler.is_enabled() else ""
    )
    if reason := _unrecordable(device, step.replica.world) or fp16:
        say(f"graphs are off: {reason}")
        return None
    if config.capture == "compile":
        _compile(step, first_batch())
    graphs = Graphs(CudaRecorder(device), say)
    step.record_with(graphs)
    return graphs


def recorder_for(config: TrainConfig, device: torch.device, world: World) -> Callable[[], Recorder] | None:
    """What makes a recorder for a run whose steps will be recorded, or None."""
    if config.capture == "off" or _unrecordable(device, world):
        return None
    return lambda: CudaRecorder(device)


def decays_scales(config: TrainConfig) -> bool:
    """Whether weight decay is on BatchNorm scales, too: as in the original, unless the penalty is another one."""
    if config.scale_decay is not None:
        return config.scale_decay
    return not (config.sparsity_regularization and config.penalty != "l1")


def open_teacher(config: TrainConfig, dataset: ImageDataset, device: torch.device) -> Teacher | None:
    """The network in the file of `teacher`, or None.

    Raises:
        CheckpointError: the file, or a network that knows other classes or can't take the images.
    """
    if config.teacher is None:
        return None
    checkpoint = read_checkpoint(config.teacher)
    names = (checkpoint.dataset or {}).get("class_names")
    if names is not None and tuple(names) != tuple(dataset.class_names):
        raise CheckpointError(
            f"{setting('teacher', config.teacher)}: its network was trained on the classes of "
            f"{dataset_name(checkpoint)}, not those of {dataset.name}; give one that was trained on {dataset.name}"
        )
    model = restore(checkpoint, config.teacher).to(device).eval()
    _check_teacher(model, config.teacher, dataset, device)
    return Teacher(model, weight=config.teacher_weight, temperature=config.temperature)


def _unrecordable(device: torch.device, world: World) -> str:
    """Why steps can't be recorded on a device; empty if they can."""
    if device.type != "cuda":
        return f"they need a GPU, and this runs on {device}"
    return "several processes train together" if world.size > 1 else ""


def _fp16(step: TrainStep) -> str:
    """Why steps in fp16 can't be recorded; empty for other precisions."""
    why = "in fp16 the host looks at every step's gradients; type `precision='bf16'`"
    return why if step.scaler.is_enabled() else ""


def _compile(step: TrainStep, batch: tuple[Tensor, Tensor]) -> None:
    try:
        step.compile_for(*batch)
    except Exception as error:  # the compiler raises whatever its parts raise
        say(f"the network is not compiled: {(str(error) or type(error).__name__).splitlines()[0]}")


def _penalty(config: TrainConfig, model: PrunableModel, dataset: ImageDataset) -> Penalty:
    if not config.sparsity_regularization:
        return no_penalty(model)
    shape = (1, dataset.in_channels, *dataset.image_size)
    options = PenaltyOptions(
        weights=freed_macs(model, shape) if config.penalty_weights == "macs" else None,
        warmup=config.penalty_warmup,
        schedule=config.penalty_schedule,
        polarity=config.polarity,
    )
    return PENALTIES.get(config.penalty)(model, config.s, options)


def _check_teacher(model: nn.Module, path: Path, dataset: ImageDataset, device: torch.device) -> None:
    images = torch.zeros(1, dataset.in_channels, *dataset.image_size, device=device)
    try:
        with torch.no_grad():
            classes = model(images).shape[1]
    except RuntimeError as error:
        shape, reason = " x ".join(str(size) for size in images.shape[1:]), str(error).splitlines()[0]
        raise CheckpointError(
            f"{setting('teacher', path)}: its network can't take the images of {dataset.name} ({shape}): {reason}"
        ) from error
    if classes != dataset.num_classes:
        raise CheckpointError(
            f"{setting('teacher', path)}: its network knows {classes} classes, {dataset.name} has "
            f"{dataset.num_classes}; give one that was trained on {dataset.name}"
        )
