"""Multiply-accumulate operations, counted while the network runs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from netslim.core.modes import evaluation_mode
from netslim.core.protocols import Cost
from netslim.cost.params import count_params


def count_macs(model: nn.Module, example: Tensor) -> int:
    """MACs of convolutions and linear layers for one input: one multiply-add is one (FLOPs are twice that).

    Normalisation, activations, additions and gathers are not counted, as in the papers of this field.

    Args:
        model: any module; its mode and buffers are left as they were.
        example: an input of shape (N, C, H, W); the count is divided by N.
    """
    places = count_places(model, example)
    weights = {name: cast(Tensor, model.get_submodule(name).weight) for name in places}
    return sum(count * weights[name].numel() for name, count in places.items()) // example.shape[0]


def count_places(model: nn.Module, example: Tensor) -> dict[str, int]:
    """By name of a convolution or linear layer, at how many places of `example` its weight is applied.

    Every number of the weight is one multiply-add at each place, so MACs are a weighted count of parameters.
    """
    with counting_places(model) as places, evaluation_mode(model), torch.no_grad():
        model(example)
    return dict(places)


@contextmanager
def counting_places(model: nn.Module) -> Iterator[Mapping[str, int]]:
    """Counts the places (see `count_places`) of all that the network is run on inside."""
    places: dict[str, int] = defaultdict(int)

    def add(name: str, module: nn.Module, _: Any, output: Tensor) -> None:
        outputs = module.out_features if isinstance(module, nn.Linear) else module.out_channels
        places[name] += output.numel() // int(outputs)  # type: ignore[arg-type]

    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(partial(add, name)) for name, layer in layers]
    try:
        yield places
    finally:
        for hook in hooks:
            hook.remove()


def measure(model: nn.Module, example: Tensor) -> Cost:
    """Learnable parameters, and MACs for one input of the shape of `example` (N, C, H, W)."""
    return Cost(params=count_params(model), macs=count_macs(model, example))
