"""What is said where images that judge give no number: it is not the training that went wrong."""

import math
from typing import Any

from netslim.core.errors import CheckpointError, DataError
from netslim.core.networks.example import Inputs
from netslim.core.networks.trees import InputBatch
from netslim.core.runs.file_names import BEST
from netslim.data import AnyDataset, AnySplit, UserDataset, evaluation_batches
from netslim.stages.train.config import TrainConfig


def check_number(loss: float, split: AnySplit, dataset: AnyDataset, config: TrainConfig, *, at_end: bool) -> None:
    """Does nothing for a finite loss.

    Args:
        loss: of the network on the split.
        split: what chooses the model, or what is looked at once at the end.
        dataset: that the split is of.
        config: says which images choose.
        at_end: whether it is the chosen network, on the test images.

    Raises:
        DataError: what chooses the model has samples that hold NaN.
        CheckpointError: the chosen network is not to be judged by the test images.
    """
    if math.isfinite(loss):
        return
    broken = _broken(split, dataset)
    if at_end:
        why = f" ({broken})" if broken else ""
        raise CheckpointError(
            f"{config.save / BEST} holds a network whose loss on the test images of {dataset.name} is {loss}: its "
            f"accuracy means nothing{why}"
        )
    if broken:
        which = "test" if config.select_on == "test" else "held-out"
        raise DataError(f"the loss on the {which} images of {dataset.name} is {loss}: {broken}; mend or leave them out")


def _broken(split: AnySplit, dataset: AnyDataset) -> str:
    """How many samples hold NaN, and the first one's number; "" if none does. Bytes can't."""
    if not isinstance(dataset, UserDataset):
        return ""
    samples = evaluation_batches(split, dataset, batch_size=1, device="cpu")
    found = [number for number, sample in enumerate(samples) if not _is_finite(sample)]
    return f"{len(found):,} of {len(split):,} samples hold nan or inf, the first is number {found[0]}" if found else ""


def _is_finite(sample: tuple[Any, Any]) -> bool:
    images, labels = sample
    inputs = images.tensors if isinstance(images, InputBatch) else [images]
    return all(bool(tensor.isfinite().all()) for tensor in (*inputs, *Inputs((labels,), {}).tensors))
