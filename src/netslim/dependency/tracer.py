"""The run of a network on shapes in which its channels' labels travel along as data.

Every channel that a convolution or linear layer gives gets a label. Data movement moves the labels as it moves the
values; elementwise operations unite them; layers consume them along one dimension of their weight; what is not known
freezes what it touches. Labels that end up together can only go together.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimError, UsageError
from netslim.core.modes import evaluation_mode
from netslim.core.torch_internals import PlainDispatchMode, frames_until, module_in, tree_leaves
from netslim.dependency.channel_sets import TensorChannels
from netslim.dependency.channel_state import ChannelState
from netslim.dependency.meta_ops import META, MetaOps, tensors_in
from netslim.dependency.rules.movement import SAME
from netslim.dependency.rules.table import UNPREDICTABLE, rule_of
from netslim.dependency.trace import Call, Event, Results, Trace, Weight

_TORCH = str(Path(torch.__file__).parent)
_HERE = str(Path(__file__).parent)
_ALIASES = {"_unsafe_view": "view"}  # which of them a reshape is depends on the strides


class Tracer(PlainDispatchMode):  # type: ignore[no-untyped-call]
    """Runs a network on shapes and fills a `Trace`.

    Args:
        model: a network of shapes; in train mode its batch counters count.
        trace: what is known already.
        meta_ops: what works out shapes.
    """

    def __init__(self, model: nn.Module, trace: Trace, meta_ops: MetaOps) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = model
        self.state = ChannelState(model, trace)
        self._meta_ops = meta_ops
        self._modules = {id(module): name for name, module in model.named_modules()}
        self._entered: Any = None

    def run(self, shape: Sequence[int], dtype: torch.dtype) -> None:
        """Runs the network on an input of this shape. Raises UsageError where it can't be followed."""
        sets = self.state.sets
        example = torch.empty(torch.Size(shape), device=META, dtype=dtype)
        label = sets.fresh(1, "reads the network's input")
        self.state.set(example, TensorChannels(None, label, torch.tensor([False])))
        self._entered = inspect.currentframe()
        with torch.random.fork_rng(devices=[]), torch.no_grad(), self:
            result = self.model(example)
        for tensor in tree_leaves(result):
            channels = self.state.channels(tensor) if isinstance(tensor, Tensor) else None
            if channels is not None:
                sets.freeze(channels.labels, "is an output of the network")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every operation."""
        kwargs = kwargs or {}
        tensors = tensors_in((args, kwargs))
        if not any(self.state.is_traced(tensor) for tensor in tensors):  # constants, computed as they are
            hollow = any(tensor.is_meta for tensor in tensors)
            return self._meta_ops(func, args, kwargs) if hollow else func(*args, **kwargs)
        name = _ALIASES.get(func.overloadpacket.__name__, func.overloadpacket.__name__.removesuffix("_"))
        if name in UNPREDICTABLE:
            raise UsageError(
                f"{self._where()}: what {type(self.model).__name__} does depends on the values that it computes "
                f"({name}), so its channel groups can't be derived; a forward that depends on shapes alone can be"
            )
        result = self._meta_ops(func, args, kwargs)
        out = tensors_in(result)
        if out:
            inputs = self.state.inputs_of(tensors)
            call = Call(name, func, args, kwargs, _given(func, args, kwargs), out, self._where())
            self._note(call, inputs, rule_of(call)(self.state, call))
        return result

    def _note(self, call: Call, inputs: Sequence[TensorChannels], states: Results) -> None:
        """Files what the results carry, and the event."""
        outputs = []
        for tensor, state in zip(call.out, states, strict=True):
            self.state.set(tensor, state)
            if not isinstance(state, Weight):
                outputs.append((tuple(tensor.shape), state))
        if call.name not in SAME:  # a reshape copies or not, as the strides are
            self.happened(Event(call.name, call.where, tuple(inputs), tuple(outputs)))

    def happened(self, event: Event) -> None:
        """Called after every operation on channels."""
        self.state.trace.events.append(event)

    def _where(self) -> str:
        """The line of the network's own code that is at work, or the module if all code is torch's."""
        module = ""
        for frame in frames_until(self._entered):
            file = _file_of_network(frame.f_code.co_filename)
            if file is not None:
                return f"{file}:{frame.f_lineno}"
            module = module or module_in(frame, self._modules) or ""
        return f"module '{module}'"


@functools.cache
def _file_of_network(path: str) -> str | None:
    """The name of a file of code, None if it is torch's or this room's."""
    return None if path.startswith((_TORCH, _HERE)) else Path(path).name


def _given(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    names, defaults = _schema(func)
    return {**defaults, **dict(zip(names, args, strict=False)), **kwargs}


@functools.cache
def _schema(func: Any) -> tuple[list[str], dict[str, Any]]:
    """The names of an operation's arguments, and the defaults."""
    arguments = func._schema.arguments
    defaults = {argument.name: argument.default_value for argument in arguments if argument.has_default_value()}
    return [argument.name for argument in arguments], defaults


@contextmanager
def running(model: nn.Module, shape: Sequence[int]) -> Iterator[None]:
    """Turns what a network raises about its input into a UsageError."""
    try:
        yield
    except NetslimError:
        raise
    except Exception as error:  # a network may raise anything
        size = " x ".join(str(side) for side in shape[1:])
        cause = _cause(model, shape) or error
        text = str(cause).strip().split("\n")[0]
        raise UsageError(
            f"{type(model).__name__} does not run on an input of {size}: {type(cause).__name__}: {text}"
        ) from error


def _cause(model: nn.Module, shape: Sequence[int]) -> Exception | None:
    """What the network itself says of such an input: on shapes errors are terse."""
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    try:
        with evaluation_mode(model), torch.no_grad():
            model(torch.zeros(torch.Size(shape), device=like.device, dtype=like.dtype))
    except Exception as error:
        return error
    return None
