"""Runs of a network in which its decisions are noted, or taken as they were noted before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from netslim.core.errors import UsageError
from netslim.core.networks.decisions import (
    MASKED,
    ORDERS,
    Decision,
    Decisions,
    Readings,
    decided,
    is_mask,
    is_steering,
    masks_of,
    operation,
)
from netslim.core.networks.torch_internals import PlainDispatchMode, tree_leaves, tree_map

_STEPS = {
    *("gt", "ge", "lt", "le", "eq", "ne", "argmax", "argmin", "floor", "ceil", "round", "trunc", "sign"),
    *("floor_divide", "remainder", "fmod", "bucketize", "searchsorted", "heaviside", "multinomial"),
}


Found = Literal["nothing", "one", "everything"]
FOUND: tuple[Found, ...] = get_args(Found)
_SMALL = 1024  # elements of a mask


@dataclass(frozen=True)
class Supposition:
    """What is supposed of values, to see a network on another path.

    Attributes:
        found: masks choose nothing, their first element where they would choose none, or everything if they are small.
        answers: by the number of a decision, what Python reads instead of the truth value that was computed.
    """

    found: Found | None = None
    answers: Mapping[int, bool] = field(default_factory=dict)

    def change_(self, name: str, args: tuple[Any, ...]) -> None:
        """Changes masks before anything reads them."""
        masks = args[:1] if name == "nonzero" else masks_of(name, args)
        for mask in masks:
            if self.found is None or not is_mask(mask) or not mask.numel():
                continue
            if self.found == "nothing":
                mask.zero_()
            elif self.found == "one" and not mask.any():
                mask[(0,) * mask.dim()] = True
            elif self.found == "everything" and mask.numel() <= _SMALL:
                mask.fill_(True)


class _Following(PlainDispatchMode):  # type: ignore[no-untyped-call]
    """Knows which tensors follow from the network's inputs: what is decided on constants is the same everywhere."""

    def __init__(self, inputs: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._live: Any = WeakIdKeyDictionary(dict.fromkeys(inputs, True))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every operation."""
        kwargs = kwargs or {}
        if not any(isinstance(leaf, Tensor) and leaf in self._live for leaf in tree_leaves((args, kwargs))):
            return func(*args, **kwargs)
        result = self._act(func, operation(func), args, kwargs)
        changed = [args[0], args[0]._base] if func._schema.is_mutable and isinstance(args[0], Tensor) else []
        for leaf in (*tree_leaves(result), *changed):
            if isinstance(leaf, Tensor):
                self._live[leaf] = True
        return result

    def _act(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


class Recorder(_Following):  # type: ignore[no-untyped-call]
    """Notes what is decided inside."""

    def __init__(self, inputs: Iterable[Tensor], supposed: Supposition | None = None) -> None:
        super().__init__(inputs)
        self.decisions = Decisions()
        self._supposed = supposed or Supposition()

    def _act(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        taken = self.decisions.taken
        self._supposed.change_(name, args)
        reads = _reads(func, name, args)
        rows = _answer(func, name, args, None) if masks_of(name, args) else None
        result = func(*args, **kwargs)
        if isinstance(result, bool):
            result = self._supposed.answers.get(len(taken), result)
        answer = _answer(func, name, args, result) if rows is None else rows
        if answer is not NotImplemented:
            kept = tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, answer)
            taken.append(Decision(name, kept, is_steering(name, args), reads))
        return result


def _reads(func: Any, name: str, args: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """The real numbers that a decision is taken on."""
    if name in MASKED or name == "masked_select" or not _may_decide(func, name, args):
        return ()
    return tuple(leaf.clone() for leaf in tree_leaves(args) if _is_real(leaf))


def _may_decide(func: Any, name: str, args: tuple[Any, ...]) -> bool:
    if is_steering(name, args) or name in _STEPS or name in ORDERS or name in ("_to_copy", "copy"):
        return True
    return name == "div" and len(func._schema.arguments) > 2


class Replayer(_Following):  # type: ignore[no-untyped-call]
    """Decides inside as was decided before, and notes what it would have been decided on.

    Attributes:
        pairs: what the decisions were taken on before and here, by name.
    """

    def __init__(self, inputs: Iterable[Tensor], decisions: Decisions) -> None:
        super().__init__(inputs)
        self.pairs: dict[str, tuple[Tensor, Tensor]] = {}
        self._left = iter(enumerate(decisions.taken))

    def _act(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self._decides(func, name, args, kwargs):
            return func(*args, **kwargs)
        number, before = next(self._left, (0, None))
        reads = _reads(func, name, args)
        alike = before is not None and [r.shape for r in reads] == [r.shape for r in before.reads]
        if before is None or before.name != name or (before.steers and not alike):
            raise UsageError(f"the networks part ways: one decides by values ({name}) where the other does not")
        if not alike:  # the largest of each channel, say, of which some are gone: outputs tell whether it is right
            return func(*args, **kwargs)
        for place, pair in enumerate(zip(before.reads, reads, strict=True)):
            self.pairs[f"what decision {number + 1} ({name}) is taken on" + (f", {place + 1}" if place else "")] = pair
        return decided(func, args, kwargs, before.answer)[0]

    def _decides(self, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        if is_steering(name, args):
            return True
        if not _may_decide(func, name, args):
            return False
        return _answer(func, name, args, func(*_copied(args, func), **kwargs)) is not NotImplemented


def _copied(args: tuple[Any, ...], func: Any) -> tuple[Any, ...]:
    """The arguments, the first of which is not written to."""
    return (args[0].clone(), *args[1:]) if func._schema.is_mutable else args


@contextmanager
def recording(inputs: Iterable[Tensor], supposed: Supposition | None = None) -> Iterator[Decisions]:
    """Notes what a network decides inside by values that follow from these."""
    with ExitStack() as stack:
        stack.enter_context(Readings())
        yield stack.enter_context(Recorder(inputs, supposed)).decisions


@contextmanager
def replaying(inputs: Iterable[Tensor], decisions: Decisions) -> Iterator[Replayer]:
    """A network inside decides as another did."""
    with ExitStack() as stack:
        stack.enter_context(Readings())
        yield stack.enter_context(Replayer(inputs, decisions))


def _answer(func: Any, name: str, args: tuple[Any, ...], result: Any) -> Any:
    """What has to be known to decide alike; NotImplemented for operations that decide nothing."""
    if name in MASKED and is_steering(name, args):
        return [rows for mask in masks_of(name, args) for rows in mask.nonzero().unbind(1)]
    if name == "masked_select":
        return torch.broadcast_tensors(*args[:2])[1].nonzero().unbind(1)  # type: ignore[no-untyped-call]
    if is_steering(name, args):
        return result
    if not any(_is_real(leaf) for leaf in tree_leaves(args)) or not isinstance(result, Tensor | tuple):
        return NotImplemented
    if name in ORDERS and isinstance(result, tuple) and len(result) == 2:
        return result[1]
    stepped = name in _STEPS or (isinstance(result, Tensor) and name in ("_to_copy", "copy") and not _is_real(result))
    rounded = name == "div" and len(func._schema.arguments) > 2
    return result if isinstance(result, Tensor) and (stepped or rounded) else NotImplemented


def _is_real(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.is_floating_point()
