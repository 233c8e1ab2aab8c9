"""Multiply-accumulate operations, counted operation by operation while the network runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry

from netslim.core.errors import NetslimError, UsageError
from netslim.core.networks.example import Inputs
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.running import check_batched
from netslim.core.networks.torch_internals import PlainDispatchMode, flops_of_shapes
from netslim.core.networks.whole_functions import WholeCall, WholeFunctions
from netslim.core.networks.wrappers import check_shapes_known, unwrapped
from netslim.core.protocols import Cost
from netslim.cost.params import count_params

_ATEN = torch.ops.aten
_SMALLER = {_ATEN.sum, _ATEN.mean}
_MATRICES = {_ATEN.mm, _ATEN.addmm, _ATEN.bmm, _ATEN.baddbmm}
_PRODUCTS = {
    *(_ATEN.convolution, _ATEN._convolution, _ATEN.cudnn_convolution, _ATEN._slow_conv2d_forward),
    *_MATRICES,
}


@dataclass
class MacCount:
    """What was counted.

    Attributes:
        parameters: by name, the multiply-adds with a parameter's numbers: each is one at every place it is applied.
            A weight that was made from one parameter number by number (`weight * 0.1`, `weight * mask`) counts as that.
        computed: those with weights that were computed otherwise or are constants.
        activations: matrix products of activations with each other (attention), which are in no other figure.
        beside: by name of a channel group, how many of these go with a channel although no weight becomes smaller.
    """

    parameters: dict[str, int] = field(default_factory=dict)
    computed: int = 0
    activations: int = 0
    beside: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All but matrix products of activations."""
        return sum(self.parameters.values()) + self.computed


def count_macs(model: nn.Module, example: Any) -> int:
    """MACs of convolutions and of products with parameters for one input: one multiply-add is one.

    FLOPs are twice that, and what `torch.utils.flop_counter` finds but for matrix products of activations with each
    other (attention). Normalisation, activations, additions and gathers are not counted, as in this field's papers.

    Args:
        model: any module; its mode and buffers are left as they were.
        example: an input (N, ...), or several (see `netslim.plan`); the count is divided by N.
    """
    inputs = Inputs.of(example)
    return count_products(model, inputs).total // max(inputs.batch, 1)


def count_products(model: nn.Module, inputs: Inputs) -> MacCount:
    """Everything that the network multiplies in one call, in eval mode."""
    with counting(model) as count, evaluation_mode(model), torch.inference_mode(False), torch.no_grad():
        inputs.call(model)
    return count


@contextmanager
def counting(model: nn.Module) -> Iterator[MacCount]:
    """Counts what the network multiplies inside."""
    counter = MacCounter(model)
    with WholeFunctions(counter.whole), counter:
        yield counter.count


class MacCounter(PlainDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation, and which tensors are activations, parameters or computed from these alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = MacCount()
        self._paused = False
        self._weights: dict[int, str] = {}  # by id of a tensor, the parameter that it is a view of, "" if computed
        self._kept: list[Tensor] = []  # these tensors, so that their ids stay theirs
        self._fixed = {id(buffer) for buffer in model.buffers()}  # and what is made from these or from nothing
        for name, tensor in [*model.named_buffers(), *model.named_parameters()]:
            self._remember(tensor, name)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every operation."""
        result = func(*args, **(kwargs or {}))
        if not self._paused:
            self.see(func, args, result)
        return result

    def whole(self, call: WholeCall) -> Any:
        """Recurrent layers apply their weights once for every moment; others are counted operation by operation."""
        if not call.is_recurrent:
            return NotImplemented
        self.recurrent(call)
        self._paused = True
        try:
            return call.run()
        finally:
            self._paused = False

    def recurrent(self, call: WholeCall) -> None:
        """Counts a recurrent layer."""
        moments = call.input.numel() // max(call.input.shape[-1], 1)
        for tensor in call.given["weights"]:
            if tensor.dim() > 1:
                self._note(self._weights.get(id(tensor)), moments * tensor.numel())

    def see(self, func: Any, args: tuple[Any, ...], result: Any) -> None:
        """Counts one operation."""
        given = _tensors(args)
        known = [self._weights.get(id(own)) for own in given]
        if None in known and func._schema.is_mutable:
            self._forget(args[0])
        if func.overloadpacket in _PRODUCTS:
            self._add(func.overloadpacket, args, result)
        if None not in known:
            for own in _tensors([result]):
                whole = own is result or _is_view(func)  # or one of its parts
                self._remember(own, _made_from(given, known, func, own) if whole else "")
                if self._fixed.issuperset(map(id, given)):
                    self._fixed.add(id(own))

    def _remember(self, tensor: Tensor, name: str) -> None:
        self._weights[id(tensor)] = name
        self._kept.append(tensor)

    def _forget(self, target: Any) -> None:
        """An activation was written into a constant."""
        for tensor in (target, getattr(target, "_base", None)):
            if isinstance(tensor, Tensor):
                self._weights.pop(id(tensor), None)

    def _add(self, packet: Any, args: tuple[Any, ...], result: Tensor) -> None:
        shapes = [arg.shape if isinstance(arg, Tensor) else arg for arg in args]
        macs = _flops(packet)(*shapes, out_shape=result.shape) // 2
        first, second = args[1:3] if packet in (_ATEN.addmm, _ATEN.baddbmm) else args[:2]
        name = self._weights.get(id(second), self._weights.get(id(first)))
        if packet not in _MATRICES:
            if name == "" and id(second) in self._fixed and _only_picks(second):
                return
            name = name or ""  # a convolution is one, whatever its weight was computed from
        self._note(name, macs)

    def _note(self, name: str | None, macs: int) -> None:
        if name is None:
            self.count.activations += macs
        elif name:
            self.count.parameters[name] = self.count.parameters.get(name, 0) + macs
        else:
            self.count.computed += macs


def _made_from(given: Sequence[Tensor], known: Sequence[str | None], func: Any, result: Tensor) -> str:
    """The parameter that a result is a view of, or has a number for each of, as a weight times a mask; else ""."""
    if len(given) > 1 and torch.Tag.pointwise not in func.tags:
        return ""
    smaller = func.overloadpacket in _SMALLER  # a filter's sums in space still have a number for each of its ends
    alike = (
        _is_view(func) or own.shape.numel() == result.shape.numel() or (smaller and own.shape[:2] == result.shape[:2])
        for own in given
    )
    return next((name for name, fits in zip(known, alike, strict=True) if name and fits), "")


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    """The tensors among what an operation is given or gives, and in its lists."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [part for part in value if isinstance(part, Tensor)]
    return found


def _only_picks(weight: Tensor) -> bool:
    """Whether a constant (outputs, inputs, 1, ...) has a single one in each row: a gather, written as a convolution."""
    rows = weight.flatten(1)
    if rows.shape != weight.shape[:2] or rows.is_meta:
        return False
    return bool(((rows == 0) | (rows == 1)).all() and (rows.sum(1) == 1).all())


@functools.cache
def _flops(packet: Any) -> Callable[..., int]:
    return flops_of_shapes(flop_registry[packet])


@functools.cache
def _is_view(func: Any) -> bool:
    return any(own.alias_info is not None for own in func._schema.returns)


def measure(model: nn.Module, example: Any) -> Cost:
    """Learnable parameters, and MACs for one input.

    Args:
        model: any module, left unchanged.
        example: an input (N, ...), or several (see `netslim.plan`).

    Raises:
        UsageError: there is no tensor in the example, no input in its batch or no batch dimension, the network does not
            run on it, or its shapes are not known yet.

    >>> import torch, netslim
    >>> netslim.measure(torch.nn.Conv2d(3, 8, 3), torch.zeros(1, 3, 10, 10))
    Cost(params=224, macs=13824)
    """
    model = unwrapped(model)
    check_shapes_known(model)
    inputs = Inputs.of(example)
    if not inputs.batch:
        raise UsageError("the example has no input in its batch, and costs are counted for one: give one or more")
    check_batched(model, inputs)
    try:
        return Cost(params=count_params(model), macs=count_macs(model, inputs))
    except NetslimError:
        raise
    except Exception as error:  # a network may raise anything
        shapes = " and ".join(" x ".join(map(str, tensor.shape)) for tensor in inputs.tensors)
        raise UsageError(f"{type(model).__name__} does not run on an example of {shapes}: {error}") from error
