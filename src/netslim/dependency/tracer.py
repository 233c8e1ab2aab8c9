"""The channel groups of any network: it runs once on shapes, and its channels' labels travel along as data.

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
from torch.nn.modules.conv import _ConvNd

from netslim.core.errors import NetslimError, UsageError
from netslim.core.modes import evaluation_mode
from netslim.core.torch_internals import PlainDispatchMode, frames_until, module_in, tree_leaves
from netslim.dependency.channel_sets import Carried
from netslim.dependency.meta_ops import META, shapes_of, tensors_in
from netslim.dependency.rules.table import SAME, UNPREDICTABLE, rule_of
from netslim.dependency.trace import Call, Event, Trace, Weight

_TORCH = str(Path(torch.__file__).parent)
_ALIASES = {"_unsafe_view": "view"}  # which of them a reshape is depends on the strides
_HERE = str(Path(__file__).parent)


class Tracer(PlainDispatchMode):  # type: ignore[no-untyped-call]
    """Runs a network on shapes and fills a `Trace`.

    Args:
        model: a skeleton; in train mode its batch counters count.
        trace: what is known already.
    """

    def __init__(self, model: nn.Module, trace: Trace) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = model
        self.trace = trace
        self.labels = trace.labels
        named = [*model.named_parameters(), *model.named_buffers()]
        self._names = {id(tensor): name for name, tensor in named if tensor.is_floating_point()}
        layers = [m for m in model.modules() if isinstance(m, nn.Linear | _ConvNd)]
        self._layers = {id(layer.weight) for layer in layers}
        self._modules = {id(module): name for name, module in model.named_modules()}
        self._states: dict[
            int, tuple[Tensor, Carried | Weight | None]
        ] = {}  # tensors are kept, so that ids stay theirs
        self._entered: Any = None

    def run(self, shape: Sequence[int], dtype: torch.dtype) -> None:
        """Runs the network on an input of this shape. Raises UsageError where it can't be followed."""
        example = torch.empty(torch.Size(shape), device=META, dtype=dtype)
        label = self.labels.fresh(1, "reads the network's input")
        self._states[id(example)] = (example, Carried(None, label, torch.tensor([False])))
        self._entered = inspect.currentframe()
        with torch.random.fork_rng(devices=[]), torch.no_grad(), self:
            result = self.model(example)
        for tensor in tree_leaves(result):
            state = self.state(tensor) if isinstance(tensor, Tensor) else None
            if isinstance(state, Carried):
                self.labels.freeze(state.labels, "is an output of the network")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every operation."""
        kwargs = kwargs or {}
        tensors = tensors_in((args, kwargs))
        if not any(self.is_traced(tensor) for tensor in tensors):  # constants, computed as they are
            hollow = any(tensor.is_meta for tensor in tensors)
            return shapes_of(func, args, kwargs) if hollow else func(*args, **kwargs)
        name = _ALIASES.get(func.overloadpacket.__name__, func.overloadpacket.__name__.removesuffix("_"))
        if name in UNPREDICTABLE:
            raise UsageError(
                f"{self._where()}: what {type(self.model).__name__} does depends on the values that it computes "
                f"({name}), so its channel groups can't be derived; a forward that depends on shapes alone can be"
            )
        result = shapes_of(func, args, kwargs)
        out = tensors_in(result)
        if out:
            inputs = [state for tensor in tensors if isinstance(state := self._state_at(tensor), Carried)]
            call = Call(name, func, args, kwargs, _given(func, args, kwargs), out, self._where())
            self._note(call, inputs, rule_of(call)(self, call))
        return result

    def is_traced(self, tensor: Tensor) -> bool:
        """Whether a tensor is an activation, or a parameter or buffer of the network."""
        return self._state_at(tensor) is not None or (id(tensor) in self._names and id(tensor) not in self._states)

    def state(self, tensor: Any) -> Carried | Weight | None:
        """What a tensor carries; None for constants. Asking a vector of parameters gives labels to its channels."""
        if id(tensor) in self._states:
            return self._states[id(tensor)][1]
        name = self._names.get(id(tensor))
        if name is None:
            return None
        self.trace.used.add(name)
        if name not in self.trace.axes:
            wide = [dim for dim, size in enumerate(tensor.shape) if size > 1]
            vector = len(wide) < 2 and tensor.dim() > 0 and id(tensor) not in self._layers
            self.trace.axes[name] = (wide or [0])[0] if vector else None
        axis = self.trace.axes[name]
        if axis is None:
            return Weight(name, tuple(range(tensor.dim())))
        labels = self.produced(name, axis, tensor.shape[axis])
        return Carried(axis, labels, torch.ones(len(labels), dtype=torch.bool))

    def carried(self, tensor: Any) -> Carried | None:
        """What an activation carries; None for weights of several dimensions and for constants."""
        state = self.state(tensor)
        return state if isinstance(state, Carried) else None

    def weight(self, tensor: Tensor) -> Weight | None:
        """The parameter that a tensor is, transposed or not; None if it was computed."""
        if id(tensor) in self._states:
            state = self._states[id(tensor)][1]
            return state if isinstance(state, Weight) else None
        name = self.name_of(tensor)
        if name is None:
            return None
        self.trace.used.add(name)
        return Weight(name, tuple(range(tensor.dim())))

    def produced(self, name: str, dim: int, size: int) -> Tensor:
        """The labels along a dimension of a parameter that gives channels (zeros there silence them)."""
        self.trace.silenced.add((name, dim))
        if (name, dim) not in self.trace.dims:
            self.trace.dims[name, dim] = self.labels.fresh(size)
        return self.trace.dims[name, dim]

    def follow(self, name: str, dim: int, labels: Tensor) -> None:
        """Ties a dimension of a parameter or buffer to channels."""
        self.trace.used.add(name)
        known = self.trace.dims.setdefault((name, dim), labels)
        if known is not labels:
            self.labels.unite(known, labels)

    def name_of(self, tensor: Any) -> str | None:
        """The name of a parameter or buffer."""
        return self._names.get(id(tensor))

    def _state_at(self, tensor: Tensor) -> Carried | Weight | None:
        return self._states[id(tensor)][1] if id(tensor) in self._states else None

    def _note(self, call: Call, inputs: Sequence[Carried], states: Sequence[Carried | Weight | None]) -> None:
        """Files what the results carry, and the event."""
        outputs = []
        for tensor, state in zip(call.out, states, strict=True):
            self._states[id(tensor)] = (tensor, state)
            if not isinstance(state, Weight):
                outputs.append((tuple(tensor.shape), state))
        if call.name not in SAME:  # a reshape copies or not, as the strides are
            self.happened(Event(call.name, call.where, tuple(inputs), tuple(outputs)))

    def happened(self, event: Event) -> None:
        """Called after every operation on channels."""
        self.trace.events.append(event)

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
