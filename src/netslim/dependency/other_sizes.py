"""Whether a network does the same on larger and smaller images, and in larger batches, as on its example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.modes import collection_paused
from netslim.dependency.derivation import Derivation
from netslim.dependency.trace import Event, Run

_SIDES = (2.0, 0.5)
_BATCH = 8


@collection_paused()
def note_of_sizes(model: nn.Module, found: Derivation) -> str | None:
    """What to say where code does otherwise at another size, of which the proof says nothing; or None.

    A size on which the network does not run counts as one that it is not used at. Where values decide what it does, or
    where it takes several inputs, none is tried.
    """
    first = found.runs[0].inputs
    if found.decides or not first.is_single:
        return None
    own = _steps(model, found, first) or {}
    for size, inputs in _others(first):
        steps = _steps(model, found, inputs)
        if steps is not None and own.keys() != steps.keys():
            apart = next(step for known, step in (own | steps).items() if (known in own) != (known in steps))
            return (
                f"{size} {type(model).__name__} does something else than on the example ({apart}), of which nothing is "
                "proven: give an example of the size in use"
            )
    return None


def _others(inputs: Inputs) -> Iterator[tuple[str, Inputs]]:
    """Inputs of other sizes, and what to call these."""
    shape = inputs.tensors[0].shape
    for factor in _SIDES:
        sides = [int(side * factor) for side in shape[2:]]
        if sides and all(sides):
            yield f"at {' x '.join(map(str, sides))}", inputs.map(partial(_shaped, [*shape[:2], *sides]))
    if len(shape) > 1:
        yield f"in a batch of {shape[0] * _BATCH}", inputs.map(partial(_shaped, [shape[0] * _BATCH, *shape[1:]]))


def _shaped(shape: list[int], spec: TensorSpec) -> TensorSpec:
    return replace(spec, shape=torch.Size(shape))


def _steps(model: nn.Module, found: Derivation, inputs: Inputs) -> dict[tuple[str, ...], Event] | None:
    """What it does on such inputs, and where; how often does not count. None if it does not run on them."""
    try:
        trace = found.traced(model, Run(False, inputs))
    except Exception:  # a network may raise anything
        return None
    return {(event.name, event.where, event.layer): event for event in trace.events}
