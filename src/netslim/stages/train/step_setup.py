"""How a phase trains: optimizer, penalty, teacher, step and its recording, from the configuration."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import ArgumentError, CheckpointError, UsageError, either, first_line, setting, unknown_name
from netslim.core.networks.trees import Batch, called
from netslim.core.processes.distributed import ALONE, World
from netslim.data import AnyDataset, ImageDataset
from netslim.network import read
from netslim.pruning.freed_macs import freed_macs
from netslim.report.console import say
from netslim.stages.shared.datasets import dataset_name, normalization_of
from netslim.stages.shared.example_input import example_of, sides
from netslim.stages.shared.networks import open_network
from netslim.stages.shared.plugins import PENALTIES as PENALTY_KIND
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.optimizer_setup import build_optimizer, check_optimizer, is_own
from netslim.training.cuda_graphs import CudaRecorder, Graphs, Recorder
from netslim.training.distillation import Renormalized, Teacher
from netslim.training.penalties import PENALTIES, Penalty, PenaltyOptions, no_penalty
from netslim.training.penalties.strength import check_schedule
from netslim.training.precision import Precision
from netslim.training.step import TrainStep, compiled_for
from netslim.training.tasks.objective import Classification, Objective

WEIGHTS = ("equal", "macs")
CAPTURES = ("auto", "off", "graphs", "compile")
LARGEST_SCALE = 1.0  # of a BatchNorm that was not trained yet
OF_PENALTY = ("penalty", "penalty_warmup", "penalty_schedule", "penalty_weights")
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
    if config.sparsity_regularization:
        _check_strength(config)
    else:
        own = [option.name for options in PENALTY_KIND.options().values() for option in options]
        config.refuse([*OF_PENALTY, *own], "there is no penalty: type `sparsity_regularization=True` with it")
    _refuse_options_of_others(config)
    check_optimizer(config)
    if config.teacher is not None and (config.loss, config.metric) != ("cross_entropy", "accuracy"):
        raise UsageError("a `teacher` speaks of classes: it goes with `loss='cross_entropy'` and `metric='accuracy'`")
    if config.teacher is None:
        config.refuse(OF_TEACHER, "there is no teacher: type `teacher=FILE` with it")
    elif Path(os.path.realpath(config.teacher)).parent == Path(os.path.realpath(config.save)):
        raise UsageError(f"{setting('teacher', config.teacher)} is a file that this run writes; give another `save`")


def _check_strength(config: TrainConfig) -> None:
    """Raises ArgumentError for a penalty under which SGD can learn nothing: each step throws every scale past zero.

    Adam's steps are as long as the learning rate, however strong the penalty is.
    """
    length = config.lr * config.s
    if config.optimizer == "sgd" and length >= LARGEST_SCALE:
        raise ArgumentError(
            "s",
            config.s,
            f"with {setting('lr', config.lr)} each step moves a scale by {length:g}, and scales begin at 1 or below: "
            f"nothing could be learnt; type 1e-5 to 1e-2 as is usual, or less than {LARGEST_SCALE / config.lr:g}",
        )


def build_step(  # noqa: PLR0913 - all that was worked out
    config: TrainConfig,
    model: nn.Module,
    precision: Precision,
    dataset: AnyDataset,
    teacher: Teacher | None = None,
    *,
    objective: Objective | None = None,
    world: World = ALONE,
    graphs: Graphs | None = None,
    first_batch: Callable[[], tuple[Batch, Any]] | None = None,
) -> TrainStep:
    """The training step of a network that is on its device, in its memory layout.

    Args:
        config: of the run.
        model: what is trained.
        precision: of the training.
        dataset: what it is trained on.
        teacher: see `open_teacher`.
        objective: the loss; cross-entropy if it is left out.
        world: the processes that train.
        graphs: see `graphs_for`.
        first_batch: makes a batch as in training, for the compiler, which looks at its shape; None: nothing is
            compiled. If the network can't be compiled, this is said in one line.
    """
    penalty = build_penalty(config, model, dataset)
    optimizer = build_optimizer(config, model, penalty)
    make = functools.partial(
        TrainStep,
        model,
        optimizer,
        precision=precision,
        penalty=penalty,
        objective=objective or Classification(config.label_smoothing),
        clip_grad_norm=config.clip_grad_norm,
        accumulate=config.accumulate,
        teacher=teacher,
        world=world,
        sync_bn=config.sync_bn,
        graphs=graphs,
    )
    if config.capture == "compile" and graphs is not None and first_batch is not None:
        return _compiled(make, model, config.accumulate, first_batch())
    return make()


def build_penalty(config: TrainConfig, model: nn.Module, dataset: AnyDataset) -> Penalty:
    """The penalty on the scales of a network. Raises ArgumentError if it has none that learn."""
    if not config.sparsity_regularization:
        return no_penalty(model)
    options = PenaltyOptions(
        weights=freed_macs(model, example_of(dataset)) if config.penalty_weights == "macs" else None,
        warmup=config.penalty_warmup,
        schedule=config.penalty_schedule,
        own={option.name: getattr(config, option.name) for option in PENALTY_KIND.options().get(config.penalty, ())},
    )
    penalty = PENALTIES.get(config.penalty).build(model, config.s, options)
    if not any(scale.requires_grad for scale in penalty.scales):
        raise ArgumentError(
            "sparsity_regularization",
            True,
            "the network has no BatchNorm scales that learn, for a penalty; leave it out, and prune with "
            "`criterion='l2_norm'`",
        )
    return penalty


def graphs_for(config: TrainConfig, precision: Precision, device: torch.device, world: World) -> Graphs | None:
    """What records steps and evaluations, if the configuration says so and it is possible; else None.

    What is asked for and can't be is said in one line; so is what fails later.
    """
    if config.capture == "off" or (config.capture == "auto" and (device.type == "cpu" or is_own(config))):
        return None
    fp16 = precision.dtype == torch.float16
    looks = "in fp16 the host looks at every step's gradients; type `precision='bf16'`" if fp16 else ""
    own = "code of your own may look at values, and only SGD's state can be recorded" if is_own(config) else ""
    if reason := _unrecordable(device, world) or looks or own:
        say(f"graphs are off: {reason}")
        return None
    return Graphs(CudaRecorder(device), say)


def recorder_for(config: TrainConfig, device: torch.device, world: World) -> Callable[[], Recorder] | None:
    """What makes a recorder for a run whose steps will be recorded, or None."""
    if config.capture == "off" or is_own(config) or _unrecordable(device, world):
        return None
    return lambda: CudaRecorder(device)


def open_teacher(config: TrainConfig, dataset: AnyDataset, device: torch.device) -> Teacher | None:
    """The network in the file of `teacher`, or None.

    Raises:
        CheckpointError: the file, or a network that knows other classes or can't take the images.
    """
    if config.teacher is None:
        return None
    checkpoint = read(config.teacher)
    names = (checkpoint.dataset or {}).get("class_names")
    if names and tuple(names) != tuple(dataset.class_names):
        raise CheckpointError(
            f"{setting('teacher', config.teacher)}: its network was trained on the classes of "
            f"{dataset_name(checkpoint)}, not those of {dataset.name}; give one that was trained on {dataset.name}"
        )
    model = open_network(checkpoint, config.teacher, config.arch, config.arch_args).to(device).eval()
    _check_teacher(model, config.teacher, dataset, device)
    return Teacher(
        _as_it_learnt(model, checkpoint, dataset).to(device),
        weight=config.teacher_weight,
        temperature=config.temperature,
    )


def _as_it_learnt(model: nn.Module, checkpoint: Checkpoint, dataset: AnyDataset) -> nn.Module:
    """The teacher for images that are normalised for the network, which may have learnt from others."""
    said = normalization_of(checkpoint.dataset)
    mean, std = tuple(said.get("mean", ())), tuple(said.get("std", ()))
    if not isinstance(dataset, ImageDataset) or not len(mean) == len(std) == dataset.in_channels:
        return model
    given = dataset.mean, dataset.std
    return model if given == (mean, std) else Renormalized(model, given, (mean, std)).eval()


def _unrecordable(device: torch.device, world: World) -> str:
    """Why steps can't be recorded on a device; empty if they can."""
    if device.type != "cuda":
        return f"they need a GPU, and this runs on {device}"
    return "several processes train together" if world.size > 1 else ""


def _compiled(make: Callable[..., TrainStep], model: nn.Module, accumulate: int, batch: tuple[Batch, Any]) -> TrainStep:
    """The step with the compiled network, or with the network itself if that can't be."""
    try:
        step = make(compiled=compiled_for(model, len(batch[0]), accumulate=accumulate))
        step.rehearse(*batch)
    except Exception as error:  # the compiler raises whatever its parts raise
        say(f"the network is not compiled: {first_line(error)}")
        return make()
    return step


def _check_teacher(model: nn.Module, path: Path, dataset: AnyDataset, device: torch.device) -> None:
    images = example_of(dataset).to(device)
    try:
        with torch.no_grad():
            classes = called(model, images).shape[1]
    except RuntimeError as error:
        shape, reason = sides(images, " x "), first_line(error)
        raise CheckpointError(
            f"{setting('teacher', path)}: its network can't take the images of {dataset.name} ({shape}): {reason}"
        ) from error
    if dataset.num_classes is not None and classes != dataset.num_classes:
        raise CheckpointError(
            f"{setting('teacher', path)}: its network knows {classes} classes, {dataset.name} has "
            f"{dataset.num_classes}; give one that was trained on {dataset.name}"
        )


def _refuse_options_of_others(config: TrainConfig) -> None:
    for owner, own in PENALTY_KIND.options().items():
        if owner != config.penalty:
            names = [option.name for option in own]
            config.refuse(names, f"penalty {config.penalty} has none: type {setting('penalty', owner)} with it")


def check_world(config: TrainConfig, world: World) -> None:
    """Raises UsageError if a batch has too few images for the processes."""
    if config.batch_size < world.size * config.accumulate:
        raise UsageError(
            f"`batch_size={config.batch_size}` has no image for each of {world.size} processes in each of "
            f"{config.accumulate} parts: type `batch_size={world.size * config.accumulate}` or more"
        )
