"""Samples of which a network takes several inputs: a pair of images, an image and what is known of it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from netslim.core.errors import DataError
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.trees import InputBatch, described
from netslim.core.plugins.references import user_code


def has_several(given: Any) -> bool:
    """Whether what stands for the image is several inputs: a tuple or list of them, or a dictionary."""
    return isinstance(given, tuple | list | Mapping)


def input_batch(given: Any, what: str) -> InputBatch:
    """A batch's inputs: a tuple or list has them in the order of the network's arguments, a dictionary by their names.

    Raises:
        DataError: something in it is no tensor, or the tensors are not of equally many samples.
    """
    named = isinstance(given, Mapping)
    found = InputBatch((), {str(name): part for name, part in given.items()}) if named else InputBatch((*given,), {})
    if not found.tensors or len(found.tensors) != len(found.leaves):
        raise DataError(f"{what} has inputs {described(given)}: give tensors and numbers alone")
    if len({tensor.shape[:1] for tensor in found.tensors}) > 1 or not found.tensors[0].ndim:
        raise DataError(f"{what} has inputs {described(given)}, which are not of equally many samples")
    return found


def first_inputs(sample: Any, collate: Callable[[list[Any]], Any] | None, what: str) -> Any:
    """What stands for the image in a batch of this sample alone: a tensor (C, H, W), or `Inputs` of `TensorSpec`s."""
    with user_code(f"{what}, as a batch"):
        batch = (collate or default_collate)([sample])
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        return sample[0]  # the loader says so
    given = batch[0]
    if has_several(given):
        found = input_batch(given, what)
        return Inputs(found.args, found.kwargs).map(TensorSpec.of)
    return given[0] if isinstance(given, Tensor) and len(given) else sample[0]


def random_batch(inputs: Inputs, batch: int) -> InputBatch:
    """Random inputs like those of one sample, the same every time."""
    generator = torch.Generator().manual_seed(0)

    def like(spec: TensorSpec) -> Tensor:
        return dataclasses.replace(spec, shape=torch.Size((batch, *spec.shape[1:]))).random(generator)

    return InputBatch(inputs.args, inputs.kwargs).map(like)


def alike(inputs: Inputs, others: Inputs) -> bool:
    """Whether two samples have the same inputs, of whatever sizes."""
    forms = [[(part.dtype, len(part.shape)) for part in each.tensors] for each in (inputs, others)]
    return forms[0] == forms[1] and [*inputs.kwargs] == [*others.kwargs]
