"""What a run's own files say of a training that was cut off, as typed values."""

import math
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, field_validator
from torch import Tensor

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError, NetslimError
from netslim.core.runs.file_names import BEST
from netslim.core.schemas import Count, FileModel, Finite, as_model
from netslim.stages.train.config import TrainConfig
from netslim.training.loop import Batches, TrainState
from netslim.training.precision import DTYPES, Precision
from netslim.training.tasks.task import Task

ANEW = "delete this file, and the run's command begins anew"


class TrainingFacts(FileModel, arbitrary_types_allowed=True):
    """Where a training stood; see `netslim.training.loop.TrainState`."""

    batch: Count
    loss_sum: Finite
    correct: Count
    images: Count
    best_epoch: Count
    objective: Annotated[float, Field(gt=-math.inf)]  # infinite before the first epoch was judged
    rng: Tensor | None
    scaler: dict[str, Any] = Field(default_factory=dict)

    @field_validator("rng")
    @classmethod
    def _usable(cls, rng: Tensor | None) -> Tensor | None:
        own = torch.get_rng_state()
        if rng is not None and (rng.dtype != own.dtype or rng.shape != own.shape):
            raise ValueError(f"is no state of torch's generator ({rng.dtype}, {tuple(rng.shape)})")
        return rng


def training_facts(checkpoint: Checkpoint, path: Path) -> TrainingFacts:
    """What a checkpoint read from `path` says of its training. Raises CheckpointError."""
    try:
        return as_model(TrainingFacts, checkpoint.training)
    except ValueError as error:
        raise CheckpointError(f"{path} does not say where its training stood: {error}") from error


def recorded(state: TrainState, config: TrainConfig, **more: Any) -> dict[str, Any]:
    """What a checkpoint keeps of a training beside epoch and best metric: its state, how it is chosen, and `more`."""
    optimizer = {"optimizer": config.optimizer} if config.optimizer != "sgd" else {}
    return {
        "selected_on": config.select_on,
        "best_epoch": state.best_epoch,
        "objective": state.objective,
        "batch": state.batch,
        "loss_sum": state.loss_sum,
        "correct": state.correct,
        "images": state.images,
        "rng": state.rng,
        **more,
        **optimizer,
    }


def state_of(checkpoint: Checkpoint, facts: TrainingFacts) -> TrainState:
    """The state that a checkpoint keeps."""
    return TrainState(
        epoch=checkpoint.epoch,
        batch=facts.batch,
        loss_sum=facts.loss_sum,
        correct=facts.correct,
        images=facts.images,
        best=checkpoint.task.best if checkpoint.task else checkpoint.best_prec1,
        best_epoch=facts.best_epoch,
        objective=facts.objective,
        rng=facts.rng,
    )


def check_state(state: TrainState, path: Path, config: TrainConfig, batches: Batches, task: Task) -> None:
    """Holds the counters of the checkpoint in `path` against its run. Raises CheckpointError for impossible ones."""
    steps = len(batches) if state.epoch < config.epochs else 0
    most = sum(batches.count(number) for number in range(steps))
    least = min(state.batch * config.batch_size, most)
    there = not state.best_epoch or path.with_name(BEST).exists()
    checks = {
        f"{state.epoch:,} finished epochs of {config.epochs:,}": config.start_epoch <= state.epoch <= config.epochs,
        f"epoch {state.best_epoch:,} as the best of {state.epoch:,}": _was_judged(state, config.start_epoch),
        f"epoch {state.best_epoch:,} as the best, and there is no {BEST}": there,
        f"{state.batch:,} finished batches of {steps:,}": state.batch <= steps,
        f"{state.images:,} images in {state.batch:,} batches": least <= state.images <= (most if state.batch else 0),
        f"{state.correct:,} right answers of {state.images:,}": state.correct <= state.images,
        f"{state.best:g} as the best {task.label}": not task.is_top1 or 0 <= state.best <= 1,
    }
    for said, possible in checks.items():
        if not possible:
            raise CheckpointError(f"{path} says {said}, to which its run can't have come; {ANEW}")


def _was_judged(state: TrainState, start: int) -> bool:
    """Whether the chosen epoch is one of the finished ones, if there are any."""
    return start < state.best_epoch <= state.epoch if state.epoch > start else not state.best_epoch


def precision_of(recorded: Any, folder: Path) -> Precision:
    """The precision that a run's record names. Raises NetslimError if it names none."""
    match recorded:
        case (str(name), bool(channels_last)) if name in DTYPES:
            return Precision(name, channels_last)
    raise NetslimError(f"{folder / 'run.json'} can't be read (precision {recorded}); give another `save`")
