"""Inputs to run a network on where only their shape matters."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.networks.example import Inputs, inputs_from_dict
from netslim.core.networks.trees import Batch
from netslim.core.protocols import plan_of
from netslim.data import AnyDataset, UserDataset
from netslim.data.own.several_inputs import random_batch
from netslim.pruning.plan_data import inputs_of
from netslim.stages.shared.networks import arguments_of


def example_input(model: nn.Module, facts: Mapping[str, Any] | None, batch: int = 2) -> Batch:
    """Random images of the shape that a network was trained on, or the several inputs that it takes.

    Where its file does not say: the inputs that it was pruned with, if they are several; 224 x 224 for a network with
    an ImageNet stem; else 32 x 32.
    """
    if facts and facts.get("inputs"):
        return random_batch(inputs_from_dict(facts["inputs"]), batch)
    planned = None if facts and "image_size" in facts else _planned(model)
    if planned is not None:
        return random_batch(planned, batch)
    arguments = arguments_of(model)
    side = 224 if arguments.get("stem") == "imagenet" else 32
    size = (facts or {}).get("image_size", (side, side))
    channels = arguments.get("in_channels") or (facts or {}).get("in_channels", 3)
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(0))


def _planned(model: nn.Module) -> Inputs | None:
    """The several inputs that a plan records, if each has a side for the batch and none must have its values."""
    plan = plan_of(model)
    inputs = inputs_of(plan) if plan else None
    if inputs is None or inputs.is_listed or len(inputs.tensors) < 2:
        return None
    batched = len({spec.shape[:1] for spec in inputs.tensors}) == 1 and inputs.tensors[0].shape
    return inputs if batched and all(spec.values is None for spec in inputs.tensors) else None


def example_of(dataset: AnyDataset, batch: int = 1) -> Batch:
    """Random images of a data set's shape, or several inputs like those of its first sample."""
    if isinstance(dataset, UserDataset) and dataset.inputs is not None:
        return random_batch(dataset.inputs, batch)
    channels = dataset.in_channels or 1  # which only several inputs lack
    return torch.randn(batch, channels, *dataset.image_size, generator=torch.Generator().manual_seed(0))


def sides(example: Batch, between: str = "x") -> str:
    """The shape of an input without its batch: `3x32x32`; of several `3x32x32 and 5`."""
    tensors = [example] if isinstance(example, Tensor) else example.tensors
    return " and ".join(between.join(map(str, tensor.shape[1:])) or "1" for tensor in tensors)
