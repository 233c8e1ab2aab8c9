"""Whether a network runs on its inputs, and what it says if it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from netslim.core.errors import NetslimError, UsageError
from netslim.core.networks.example import Inputs, TensorSpec, tensors_of
from netslim.core.networks.modes import evaluation_mode

_NO_SHAPES = re.compile(r"aten::(\w+): attempted to run this operator with Meta tensors")  # what torch says of it


class DoesNotRunError(UsageError):
    """The network can't take such inputs; `hint` says what it could take, if that is known."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message + hint)
        self.hint = hint


@contextmanager
def running(model: nn.Module, inputs: Inputs) -> Iterator[None]:
    """Turns what a network raises about its input into a UsageError."""
    try:
        yield
    except NetslimError:
        raise
    except Exception as error:  # a network may raise anything
        size = " and ".join(" x ".join(str(side) for side in spec.shape[1:]) for spec in inputs.tensors)
        cause = _cause(model, inputs) or error
        text = str(cause).strip().split("\n")[0]
        if operation := _NO_SHAPES.match(text):
            raise UsageError(f"{type(model).__name__} can't be followed: {_unfollowed(operation[1])}") from error
        runs_with_batch = inputs.is_single and _cause(model, inputs.map(_with_batch)) is None
        hint = "; it runs on an example with a batch dimension: give example[None]" if runs_with_batch else ""
        if inputs.is_single and isinstance(cause, TypeError) and "required positional argument" in text:
            hint = "; several inputs are given as a tuple, by a loader as ((x, y), labels)"
        raise DoesNotRunError(
            f"{type(model).__name__} does not run on an input of {size}: {type(cause).__name__}: {text}",
            hint,
        ) from error


def check_batched(model: nn.Module, inputs: Inputs) -> None:
    """Raises UsageError for an example without a batch dimension, as layers take it: nothing could be counted by it.

    That is one which the network takes with one more in front, and gives one more then.
    """
    sides = min((len(own.kernel_size) for own in model.modules() if isinstance(own, _ConvNd)), default=0)
    if not inputs.is_single or inputs.batch < 2 or len(inputs.tensors[0].shape) != 1 + sides:
        return
    spec = inputs.map(TensorSpec.of)
    alone, more, batched = (_shapes(model, own) for own in (spec, spec.map(_with_one_more), spec.map(_with_batch)))
    if alone and not more and batched == [(1, *shape) for shape in alone]:
        size = " x ".join(str(side) for side in inputs.tensors[0].shape)
        raise UsageError(f"an example of {size} has no batch dimension for {type(model).__name__}: give example[None]")


def _unfollowed(operation: str) -> str:
    if "fake_quantize" in operation:
        return "its values pass through fake quantisation; prune first, and prepare the small network"
    return f"torch does not know what shapes {operation} gives"


def _plain(spec: TensorSpec) -> torch.Tensor:
    """Its values, if they are known, or zeros."""
    if spec.values is not None:
        return spec.random(torch.Generator())
    return torch.zeros(spec.shape, dtype=spec.dtype)


def _with_batch(spec: Any) -> TensorSpec:
    return TensorSpec(torch.Size([1, *spec.shape]), spec.dtype, spec.high)


def _with_one_more(spec: Any) -> TensorSpec:
    return TensorSpec(torch.Size([spec.shape[0] + 1, *spec.shape[1:]]), spec.dtype, spec.high)


def _cause(model: nn.Module, inputs: Inputs) -> Exception | None:
    """What the network itself says of such inputs: on shapes errors are terse."""
    try:
        _run(model, inputs)
    except Exception as error:
        return error
    return None


def _shapes(model: nn.Module, inputs: Inputs) -> list[tuple[int, ...]]:
    """Of what it gives for such inputs; none if it does not run on them."""
    try:
        return [tuple(tensor.shape) for tensor in tensors_of(_run(model, inputs)).values()]
    except Exception:
        return []


def _run(model: nn.Module, inputs: Inputs) -> Any:
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    with evaluation_mode(model), torch.no_grad():
        return inputs.map(lambda spec: _plain(spec).to(like.device)).call(model)
