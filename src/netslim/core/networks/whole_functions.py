"""Functions that are taken whole, because what torch divides them into says less, or takes a step for every moment."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from netslim.core.networks.decisions import numbers_in
from netslim.core.networks.one_way import in_one_way
from netslim.core.networks.torch_internals import tree_map

_WINDOWED = {torch.stft, torch.istft, Tensor.stft, Tensor.istft}  # they insist on their window's device
_NUMBERS = {torch.tensor, torch.as_tensor, Tensor.new_tensor}  # what Python gives, which shapes would forget
_INVERSE = {torch.istft, Tensor.istft}
_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
_SIGNATURES = {
    F.instance_norm: inspect.signature(F.instance_norm),
    torch.instance_norm: inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for name in (
                *("input", "weight", "bias", "running_mean", "running_var", "use_input_stats", "momentum", "eps"),
                "cudnn_enabled",
            )
        ]
    ),
}


@dataclass(frozen=True, eq=False)
class WholeCall:
    """A call of such a function.

    Attributes:
        name: "instance_norm", "lstm", "gru", "rnn_tanh" or "rnn_relu".
        given: its arguments by name; for recurrent layers `input`, `hidden` (its tensors), `weights`, `bidirectional`.
        run: runs it.
    """

    name: str
    given: Mapping[str, Any]
    run: Callable[[], Any]

    @property
    def input(self) -> Tensor:
        """The tensor that is worked on."""
        found: Tensor = self.given["input"]
        return found

    @property
    def is_recurrent(self) -> bool:
        """Whether it is one of the layers that walk along a sequence."""
        return self.name in _RECURRENT

    def shapes(self) -> list[torch.Size]:
        """What the tensors that it gives are shaped like: the input, or the sequence of outputs and the last states."""
        if not self.is_recurrent:
            return [self.input.shape]
        hidden: Sequence[Tensor] = self.given["hidden"]
        width = hidden[0].shape[-1] * (2 if self.given["bidirectional"] else 1)
        return [torch.Size([*self.input.shape[:-1], width]), *(state.shape for state in hidden)]


class WholeFunctions(TorchFunctionMode):
    """Hands calls of such functions to `act`, which gives what they give; NotImplemented lets them run as they are.

    Attributes:
        met: whether there were any.
        asks_for_gaps: whether `torch.istft` is at work, which asks of the values of its window whether it leaves gaps.
    """

    def __init__(self, act: Callable[[WholeCall], Any]) -> None:
        super().__init__()
        self._act = act
        self.met = False
        self.asks_for_gaps = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called by torch for every function."""
        if func is torch.Tensor.type and args[0].is_meta:
            self.met = True
            return _type(args[0], *args[1:], **(kwargs or {}))
        if func is torch.Tensor.tolist and args[0].is_meta:
            return numbers_in(args[0])
        if func in _NUMBERS and (numbers := _numbers(args, kwargs or {})) is not None:
            self.met = True
            return numbers
        if func in _WINDOWED and args and args[0].is_meta:
            self.met = True
            args, kwargs = tree_map(_on_meta, (args, kwargs or {}))
        call = _whole(func, args, kwargs or {})
        if call is not None:
            self.met = True
            if (result := self._act(call)) is not NotImplemented:
                return result
        if (result := in_one_way(func, args, kwargs or {})) is not NotImplemented:
            self.met = True
            return result
        self.asks_for_gaps = func in _INVERSE
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.asks_for_gaps = False


def _numbers(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """A tensor of Python's numbers with its values, where it would be a shape; None for all others."""
    like = args[0] if args and isinstance(args[0], Tensor) else None
    data = args[1:] if like is not None else args
    device = kwargs.get("device") or (None if like is None else like.device)
    if device is None or torch.device(device).type != "meta" or len(data) != 1 or _holds_tensors(data[0]):
        return None
    kind = kwargs.get("dtype") or (None if like is None else like.dtype)
    return torch.tensor(data[0], dtype=kind)


def _holds_tensors(data: Any) -> bool:
    return isinstance(data, Tensor) or (isinstance(data, list | tuple) and any(map(_holds_tensors, data)))


def _on_meta(leaf: Any) -> Any:
    return leaf.to("meta") if isinstance(leaf, Tensor) else leaf


def _type(tensor: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """`Tensor.type` on shapes as on the CPU: no name says that a tensor is a shape, and none leads away from there."""
    if dtype is None:
        return torch.empty(0, dtype=tensor.dtype).type()
    if isinstance(dtype, str):
        dtype = torch.empty(0).type(dtype.replace("torch.cuda.", "torch.")).dtype
    return tensor.to(dtype, non_blocking=non_blocking)


def _whole(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> WholeCall | None:
    name = getattr(func, "__name__", "")
    if name == "instance_norm" and func in _SIGNATURES:
        bound = _SIGNATURES[func].bind(*args, **kwargs)
        bound.apply_defaults()
        return WholeCall(name, bound.arguments, functools.partial(func, *args, **kwargs))
    if name in _RECURRENT and not kwargs and len(args) == 9:
        return _recurrent(name, args, functools.partial(func, *args))
    return None


def _recurrent(name: str, args: tuple[Any, ...], run: Callable[[], Any]) -> WholeCall:
    """input, hx, weights, bias, layers, dropout, train, bidirectional, batch_first; packed: data, sizes, hx, ..."""
    packed = isinstance(args[3], list | tuple)
    hidden, weights, bidirectional = (args[2], args[3], args[8]) if packed else (args[1], args[2], args[7])
    states = [hidden] if isinstance(hidden, Tensor) else [*hidden]
    given = {"input": args[0], "hidden": states, "weights": [*weights], "bidirectional": bool(bidirectional)}
    return WholeCall(name, given, run)
