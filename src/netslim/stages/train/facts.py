"""What a run's own files say of a training that was cut off, as typed values."""

from pathlib import Path
from typing import Any

import torch
from pydantic import Field, field_validator
from torch import Tensor

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError, NetslimError
from netslim.core.schemas import Count, FileModel, Finite, as_model
from netslim.training.loop import TrainState
from netslim.training.precision import DTYPES, Precision


class TrainingFacts(FileModel, arbitrary_types_allowed=True):
    """Where a training stood; see `netslim.training.loop.TrainState`."""

    batch: Count
    loss_sum: Finite
    correct: Count
    images: Count
    best_epoch: Count
    objective: float
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


def recorded(state: TrainState) -> dict[str, Any]:
    """What a checkpoint keeps of a training's state beside epoch and best metric."""
    return {
        "best_epoch": state.best_epoch,
        "objective": state.objective,
        "batch": state.batch,
        "loss_sum": state.loss_sum,
        "correct": state.correct,
        "images": state.images,
        "rng": state.rng,
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


def precision_of(recorded: Any, folder: Path) -> Precision:
    """The precision that a run's record names. Raises NetslimError if it names none."""
    match recorded:
        case (str(name), bool(channels_last)) if name in DTYPES:
            return Precision(name, channels_last)
    raise NetslimError(f"{folder / 'run.json'} can't be read (precision {recorded}); give another `save`")
