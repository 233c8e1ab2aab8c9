"""The run of a network on shapes in which its channels' labels travel along as data.

Every channel that a convolution or linear layer gives gets a label. Data movement moves the labels as it moves the
values; elementwise operations unite them; layers consume them along one dimension of their weight; what is not known
freezes what it touches. Labels that end up together can only go together.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimError, UsageError
from netslim.core.networks.example import Inputs, TensorSpec, tensors_of
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.torch_internals import PlainDispatchMode, frames_until, module_in
from netslim.core.networks.whole_functions import WholeCall, WholeFunctions
from netslim.cost import MacCounter
from netslim.dependency.channel_sets import TensorChannels
from netslim.dependency.channel_state import ChannelState
from netslim.dependency.constants import Constants
from netslim.dependency.meta_ops import META, MetaOps, tensors_in
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.movement import EMPTY, SAME, ZEROS, is_blank
from netslim.dependency.rules.table import UNPREDICTABLE, rule_of
from netslim.dependency.trace import Call, Event, Results, Trace, Weight

_TORCH = str(Path(torch.__file__).parent)
_OURS = (str(Path(__file__).parent), str(Path(__file__).parent.parent / "core"))
_GENERATED = "<eval_with_key>"  # code that torch.fx wrote; every copy of a network has another number behind it
_ALIASES = {"_unsafe_view": "view"}  # which of them a reshape is depends on the strides


class DoesNotRunError(UsageError):
    """The network can't take such inputs; `hint` says what it could take, if that is known."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message + hint)
        self.hint = hint


class Tracer(PlainDispatchMode):  # type: ignore[no-untyped-call]
    """Runs a network on shapes and fills a `Trace`.

    Args:
        model: a network of shapes; in train mode its batch counters count.
        trace: what is known already.
        meta_ops: what works out shapes.
        counter: counts what is multiplied, if given.
    """

    def __init__(self, model: nn.Module, trace: Trace, meta_ops: MetaOps, counter: MacCounter | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = model
        self.state = ChannelState(model, trace)
        self._meta_ops = meta_ops
        self._counter = counter
        self._modules = {id(module): name for name, module in model.named_modules()}
        self._constants = Constants()
        self._entered: Any = None

    def run(self, inputs: Inputs) -> None:
        """Runs the network on such inputs. Raises UsageError where it can't be followed."""
        sets, hollow = self.state.sets, inputs.map(_hollow)
        for tensor in hollow.tensors:
            label = sets.fresh(1, "reads the network's input")
            self.state.set(tensor, TensorChannels(None, label, torch.tensor([False])))
        self.state.training = self.model.training
        self._entered = inspect.currentframe()
        functions = self.functions()
        with torch.random.fork_rng(devices=[]), torch.no_grad(), functions or nullcontext(), self:
            torch.manual_seed(0)  # constants that are drawn are the same in every run
            result = hollow.call(self.model)
        self.state.trace.whole |= functions is not None and functions.met
        for tensor in tensors_of(result).values():
            channels = self.state.channels(tensor)
            if channels is not None:
                sets.freeze(channels.labels, "is an output of the network")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every operation."""
        kwargs = kwargs or {}
        tensors = tensors_in((args, kwargs))
        if not any(self.state.is_traced(tensor) for tensor in tensors):
            return self._constant(func, args, kwargs, tensors)
        name = _ALIASES.get(func.overloadpacket.__name__, func.overloadpacket.__name__.removesuffix("_"))
        hollow = any(tensor.is_meta for tensor in tensors)
        if name in UNPREDICTABLE and hollow:
            raise UsageError(
                f"{self._where()[0]}: what {type(self.model).__name__} does depends on the values that it computes "
                f"({name}), so its channel groups can't be derived; a forward that depends on shapes alone can be"
            )
        result = self._meta_ops(func, args, kwargs) if hollow else func(*args, **kwargs)  # of buffers: they have values
        if self._counter is not None:
            self._counter.see(func, args, result)
        out = tensors_in(result)
        if out:
            where, layer = self._where()
            self._follow(Call(name, func, args, kwargs, _given(func, args, kwargs), out, where, layer), tensors)
        return result

    def _follow(self, call: Call, tensors: Sequence[Tensor]) -> None:
        """Notes what an operation does to the channels."""
        constants = [tensor for tensor in tensors if not self.state.is_traced(tensor)]
        if call.name == "copy" and constants and constants[0] is call.args[0] and is_blank(self.state, constants[0]):
            del constants[0]
        numbers = self._constants.numbers_of(call, constants)
        inputs = self.state.inputs_of(tensors)
        self._note(call, inputs, numbers, self._ruled(call))

    def _ruled(self, call: Call) -> Results:
        """What the operation's rule says; where it meets something that it was not made for, nothing can go."""
        try:
            return rule_of(call)(self.state, call)
        except (IndexError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            return unknown(self.state, call, f"passes {call}, which can't be followed ({type(error).__name__})")

    def _constant(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: Sequence[Tensor]) -> Any:
        """What no activation and no parameter has a part in is computed as it is, or noted where it has no values."""
        hollow = any(tensor.is_meta for tensor in tensors)
        result = self._meta_ops(func, args, kwargs) if hollow else func(*args, **kwargs)
        if self._counter is not None:
            self._counter.see(func, args, result)
        name = func.overloadpacket.__name__
        for tensor in tensors_in(result):
            if tensor.is_meta:
                self._constants.note(tensor, name, args, kwargs)
                if name in ZEROS:
                    self.state.zeros.add(id(tensor))
                elif name in EMPTY:
                    self.state.unwritten.add(id(tensor))
                elif name == "detach":
                    self.state.renamed(args[0], tensor)
        return result

    def functions(self) -> WholeFunctions | None:
        """What sees the functions that are taken whole, if any are to be expected."""
        return WholeFunctions(self._whole)

    def _whole(self, whole: WholeCall) -> Any:
        """A function that is taken whole, if an activation is given to it."""
        if not self.state.is_traced(whole.input):
            return NotImplemented
        if self._counter is not None and whole.is_recurrent:
            self._counter.recurrent(whole)
        given = dict(whole.given)
        out = [whole.input.new_empty(shape) for shape in whole.shapes()]
        call = Call(whole.name, None, (whole.input,), {}, given, out, *self._where())
        self._follow(call, [whole.input, *given.get("hidden", [])])
        return out[0] if len(out) == 1 else (out[0], *out[1:])

    def _note(self, call: Call, inputs: Sequence[TensorChannels], numbers: tuple[object, ...], states: Results) -> None:
        """Files what the results carry, and the event."""
        outputs = []
        for tensor, state in zip(call.out, states, strict=True):
            self.state.set(tensor, state)
            if not isinstance(state, Weight):
                outputs.append((tuple(tensor.shape), state))
        if call.name not in SAME:  # a reshape copies or not, as the strides are
            self.happened(Event(call.name, call.where, tuple(inputs), tuple(outputs), numbers, call.layer))

    def happened(self, event: Event) -> None:
        """Called after every operation on channels."""
        self.state.trace.events.append(event)

    def _where(self) -> tuple[str, str]:
        """The line of the network's own code that is at work, or the module if all code is torch's; and that module."""
        module = ""
        for frame in frames_until(self._entered):
            file = _file_of_network(frame.f_code.co_filename)
            if file is not None:
                return f"{file}:{frame.f_lineno}", module
            module = module or module_in(frame, self._modules) or ""
        return f"module '{module}'", module


@functools.cache
def _file_of_network(path: str) -> str | None:
    """The name of a file of code, None if it is torch's or what follows it."""
    if path.startswith((_TORCH, *_OURS)):
        return None
    return _GENERATED if path.startswith(_GENERATED) else Path(path).name


def _given(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    names, defaults = _schema(func)
    return {**defaults, **dict(zip(names, args, strict=False)), **kwargs}


@functools.cache
def _schema(func: Any) -> tuple[list[str], dict[str, Any]]:
    """The names of an operation's arguments, and the defaults."""
    arguments = func._schema.arguments
    defaults = {argument.name: argument.default_value for argument in arguments if argument.has_default_value()}
    return [argument.name for argument in arguments], defaults


def _hollow(spec: Any) -> Tensor:
    return torch.empty(spec.shape, device=META, dtype=spec.dtype)


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
        runs_with_batch = inputs.is_single and _cause(model, inputs.map(_with_batch)) is None
        hint = "; it runs on an example with a batch dimension: give example[None]" if runs_with_batch else ""
        raise DoesNotRunError(
            f"{type(model).__name__} does not run on an input of {size}: {type(cause).__name__}: {text}",
            hint,
        ) from error


def _with_batch(spec: Any) -> TensorSpec:
    return TensorSpec(torch.Size([1, *spec.shape]), spec.dtype, spec.high)


def _cause(model: nn.Module, inputs: Inputs) -> Exception | None:
    """What the network itself says of such inputs: on shapes errors are terse."""
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    try:
        with evaluation_mode(model), torch.no_grad():
            inputs.map(lambda spec: torch.zeros(spec.shape, device=like.device, dtype=spec.dtype)).call(model)
    except Exception as error:
        return error
    return None
