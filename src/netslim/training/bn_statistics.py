"""BatchNorm statistics measured anew, for a network whose weights no longer produce what they were measured on."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from netslim.core.errors import DataError
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.running import running


def recalibrate_(model: nn.Module, batches: Iterable[Any]) -> None:
    """Sets every BatchNorm's running mean and variance to their plain average over `batches`.

    Each BatchNorm normalises with its batch's own statistics meanwhile, as in training; everything else is in eval
    mode. The variance is torch's unbiased one, and `num_batches_tracked` counts the batches that were averaged. A
    network without running statistics is left alone, and so is a BatchNorm that takes no part in eval mode, as in a
    branch for training alone. Batches without an image count for nothing. Modes and momenta are restored; after an
    error the statistics are, too.

    Args:
        model: changed in place.
        batches: normalised images (N, C, H, W) on the model's device, alone or with their labels, as a loader gives
            them: of a pair the first is the input; a dictionary holds inputs by name.

    Raises:
        DataError: there are no batches, or what they give is not finite.
        UsageError: the network does not run on them.

    >>> import torch, netslim
    >>> norm = torch.nn.BatchNorm1d(1)
    >>> netslim.recalibrate_(norm, [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [7.0]])])
    >>> norm.running_mean, norm.running_var
    (tensor([4.]), tensor([2.]))
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if not norms:
        return
    with _measuring(norms), evaluation_mode(model), torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for the plain average
            norm.training = True  # not train(): that would switch on a dropout that timm keeps inside
        count = 0
        for inputs in map(inputs_in, batches_in(batches)):
            if not inputs.batch:  # torch would count it, as one that says nothing
                continue
            count += 1
            with running(model, inputs.map(TensorSpec.of)):
                inputs.call(model)
        if not count:
            raise DataError("there are no images to estimate BatchNorm statistics from")
        if not all(bool(buffer.isfinite().all()) for norm in norms for buffer in norm.buffers(recurse=False)):
            raise DataError("these batches give BatchNorm statistics that are NaN or infinite: are the inputs finite?")


def batches_in(batches: Any) -> Iterable[Any]:
    """The same. Raises DataError for a single batch, or what holds none."""
    if isinstance(batches, Tensor | Mapping):
        raise DataError("this is one batch, and several are expected: give [batch], or a DataLoader")
    if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
        raise DataError(f"batches are a DataLoader or a list of them, and this is of type {type(batches).__name__}")
    given: Iterable[Any] = batches
    return given


def inputs_in(batch: Any) -> Inputs:
    """What of a batch is the network's input: all but labels."""
    return Inputs.of(batch[0] if isinstance(batch, list | tuple) else batch)


@contextmanager
def _measuring(norms: list[_BatchNorm]) -> Iterator[None]:
    """Gives the momenta back after, and the statistics to norms that saw no batch; after an error to all."""
    momenta = [norm.momentum for norm in norms]
    before = [{name: buffer.clone() for name, buffer in norm.named_buffers(recurse=False)} for norm in norms]
    measured = False
    try:
        yield
        measured = True
    finally:
        for norm, momentum, buffers in zip(norms, momenta, before, strict=True):
            norm.momentum = momentum
            if not (measured and norm.num_batches_tracked):
                for name, buffer in norm.named_buffers(recurse=False):
                    buffer.copy_(buffers[name])
