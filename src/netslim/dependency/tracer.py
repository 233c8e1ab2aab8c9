"""The run of a network on shapes in which its channels' labels travel along as data.

Every channel that a convolution or linear layer gives gets a label. Data movement moves the labels as it moves the
values; elementwise operations unite them; layers consume them along one dimension of their weight; what is not known
freezes what it touches. Labels that end up together can only go together.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.networks.decisions import (
    Decision,
    Decisions,
    Readings,
    decided,
    filling,
    is_steering,
    masks_of,
    numbered,
)
from netslim.core.networks.example import Inputs, tensors_of
from netslim.core.networks.modes import attributes_kept
from netslim.core.networks.torch_internals import PlainDispatchMode, frames_until, module_in, tree_map
from netslim.core.networks.whole_functions import WholeCall, WholeFunctions
from netslim.core.runs.seeding import drawing_alike, seed_devices_in_use
from netslim.cost import MacCounter
from netslim.dependency.channel_sets import TensorChannels
from netslim.dependency.channel_state import ChannelState
from netslim.dependency.code_lines import file_of_network, line_of
from netslim.dependency.constants import Constants
from netslim.dependency.even_constants import NEW, are_zeros
from netslim.dependency.meta_ops import META, MetaOps, on_meta, tensors_in, written_by
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.movement import EMPTY, SAME, is_room
from netslim.dependency.rules.table import rule_of
from netslim.dependency.rules.writing import is_blank
from netslim.dependency.trace import Call, Event, Question, Results, Trace, Weight, given_to, name_of


class DependsOnValuesError(UsageError):
    """What the network does depends on values, and what it decided in a run with values was not given."""


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
        self.state.counts = counter is not None
        self._modules = {id(module): name for name, module in model.named_modules()}
        self._constants = Constants(self.state.even)
        self._entered: Any = None
        self._answers: Iterator[tuple[int, Decision]] | None = None
        self._readings: Readings | None = None
        self._read_at = ""
        self._functions: WholeFunctions | None = None
        self._seeds = itertools.count()
        self.questions: list[Question] = []
        self.asks_whose = True  # whether to look for the module whose code is at work
        self.steered = False  # whether what the network computes decided anything

    def run(self, inputs: Inputs, decisions: Decisions | None = None) -> None:
        """Runs the network on such inputs, deciding as it did on values.

        Raises UsageError where it can't be followed.
        """
        sets, hollow = self.state.sets, inputs.map(lambda spec: torch.empty(spec.shape, device=META, dtype=spec.dtype))
        for tensor in hollow.tensors:
            label = sets.fresh(1, "reads the network's input")
            self.state.set(tensor, TensorChannels(None, label, torch.tensor([False])))
        self.state.training = self.model.training
        self._entered = inspect.currentframe()
        self._read_at, functions = "", self.functions()
        self._seeds = itertools.count()  # anew: a prover repeats several runs
        self._functions = functions
        with ExitStack() as stack:
            if decisions is not None:
                self._answers = iter([(i, own) for i, own in enumerate(decisions.taken) if own.steers])
                self._readings = stack.enter_context(Readings(decisions.device))
                stack.enter_context(attributes_kept(self.model))
            for mode in (drawing_alike(), torch.no_grad(), functions or nullcontext(), self):  # so constants are alike
                stack.enter_context(mode)
            result = hollow.call(self.model, copied=False)
        self.state.trace.whole |= functions is not None and functions.met
        self.state.freeze_unfilled()
        given = tensors_of(result).values()
        self.state.freeze_derived(given, "is an output of the network")
        for tensor in given:
            channels = self.state.channels(tensor)
            if channels is not None:
                sets.freeze(channels.labels, "is an output of the network")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every operation."""
        if self._readings is None:
            return self._seen(func, args, kwargs or {})
        device, self._readings.device = self._readings.device, None  # torch's own code has to see that these are shapes
        try:
            if is_room(func, args) or ((kwargs or {}).get("device") and any(t.is_meta for t in tensors_in(args))):
                kwargs = {**(kwargs or {}), "device": META}
            return self._seen(func, args, kwargs or {})
        finally:
            self._readings.device = device

    def _seen(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = name_of(func)
        args = numbered(name, args)
        if (mask := filling(name, args)) is not None:
            return self._filled(func, args, mask)
        tensors = tensors_in((args, kwargs))
        if not func.is_view:
            self.state.read_all(tensors[1:] if name == "copy" else tensors)
        traced = any(map(self.state.is_traced, tensors))
        hollow = any(tensor.is_meta for tensor in tensors)
        steers = is_steering(name, args)
        if steers and self._functions is not None and self._functions.asks_for_gaps:
            return False  # a window with gaps does not run
        answer = self._answer(name) if steers and hollow else None
        masks = masks_of(name, args)
        if answer is not None:
            args, kwargs, known = tree_map(on_meta, (args, kwargs, answer[1].answer))
            result, args = decided(func, args, kwargs, known)
        elif not traced or name in NEW:
            return self._constant(func, args, kwargs, [] if name in NEW else tensors)
        else:
            result = self._meta_ops(func, args, kwargs) if hollow else func(*args, **kwargs)  # of buffers: with values
        if self._counter is not None:
            self._counter.see(func, args, result)
        out = tensors_in(result)
        if traced and (out or steers):
            call = Call(name, func, args, kwargs, given_to(func, args, kwargs), out, *self._where())
            self._follow(call, tensors)
            if answer is not None:
                self._asked(call, answer[0], result, masks)
        for tensor in written_by(func, args, kwargs):
            self.state.even.changed(tensor)
        return result

    def _filled(self, func: Any, args: tuple[Any, ...], mask: Tensor) -> Any:
        """One number is given to all that a mask chooses."""
        for _ in range(mask.dim() + len(args[1]) - 1, args[0].dim()):
            mask = self._seen(torch.ops.aten.unsqueeze.default, (mask, -1), {})
        fill = torch.ops.aten.masked_fill_ if func._schema.is_mutable else torch.ops.aten.masked_fill
        return self._seen(fill.Tensor, (args[0], mask, args[2]), {})

    def _answer(self, name: str) -> tuple[int, Decision] | None:
        """What was decided here in the run with values."""
        if self._answers is None:
            raise DependsOnValuesError(
                f"{self._where()[0]}: what {type(self.model).__name__} does depends on the values that it computes "
                f"({name}), so its channel groups can't be derived; a forward that depends on shapes alone can be"
            )
        number, decision = next(self._answers, (0, None))
        if decision is None or decision.name != name:
            raise UsageError(
                f"{self._where()[0]}: what {type(self.model).__name__} does on shapes is not what it does on values "
                f"({name})"
            )
        return number, decision

    def _asked(self, call: Call, number: int, result: Any, masks: Sequence[Tensor]) -> None:
        """Notes what Python asked of a value. What comes after a number that is no truth value can't be known."""
        self.steered = True
        for mask in masks:
            if (carried := self.state.channels(mask)) is not None:
                self.state.sets.freeze(carried.labels, f"chooses what {call} takes")
        if isinstance(result, bool):
            self.questions.append(
                Question(next(filter(None, map(line_of, frames_until(self._entered))), call.where), number, result)
            )
        elif not call.out:
            self._read_at = self._read_at or call.where

    def _follow(self, call: Call, tensors: Sequence[Tensor]) -> None:
        """Notes what an operation does to the channels."""
        constants = [*itertools.filterfalse(self.state.is_traced, tensors)]
        written = constants[0] if constants and constants[0] is call.args[0] else None
        if written is not None and call.name in ("copy", "index_put") and is_blank(self.state, written):
            del constants[0]
        numbers = self._constants.numbers_of(call, [*itertools.filterfalse(self.state.is_drawn, constants)])
        inputs = self.state.inputs_of(tensors)
        fixed = all(map(self.state.is_fixed, tensors))
        states = self._ruled(call)
        if self._read_at:
            for state in (*inputs, *states):
                if isinstance(state, TensorChannels):
                    self.state.sets.freeze(state.labels, f"may depend on the number that is read at {self._read_at}")
        self._note(call, inputs, numbers, states)
        for tensor in call.out if fixed else ():
            self.state.note_fixed(tensor)

    def _ruled(self, call: Call) -> Results:
        """What the operation's rule says; where it meets something that it was not made for, nothing can go."""
        try:
            states = rule_of(call)(self.state, call)
            self.state.freeze_drawn(call, states)
            if any(isinstance(own, TensorChannels) for own in states):
                self.state.freeze_derived(call.tensors, f"is read as a number by {call}")
            else:
                self.state.derive(call.tensors, call.out, () if any(states) else None)
            return states
        except (IndexError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            return unknown(self.state, call, f"passes {call}, which can't be followed ({type(error).__name__})")

    def _constant(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: Sequence[Tensor]) -> Any:
        """What no activation and no parameter has a part in is computed as it is, or noted where it has no values."""
        hollow = any(tensor.is_meta for tensor in tensors)
        if name_of(func) == "_to_copy" and not hollow:
            kwargs = {key: own for key, own in kwargs.items() if own != META}  # it keeps its values
        if draws := torch.Tag.nondeterministic_seeded in func.tags:
            seed_devices_in_use(next(self._seeds))  # however many numbers were drawn before
        result = self._meta_ops(func, args, kwargs) if hollow else func(*args, **kwargs)
        if self._counter is not None:
            self._counter.see(func, args, result)
        name = func.overloadpacket.__name__
        for tensor in written_by(func, args, kwargs):
            self.state.changed(tensor)
        self.state.derive(tensors, tensors_in(result))
        self.state.note_drawn(tensors, tensors_in(result), draws=draws)
        for tensor in tensors_in(result):
            if tensor.is_meta:
                self._constants.note(tensor, name, args[1:] if name in NEW else args, kwargs)
                if not draws:
                    self.state.even.note(func, name, args, kwargs, tensor)
            if (zero := are_zeros(name, args, tensor)) or name in EMPTY:
                self.state.note_new(tensor, zero=zero)
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
            own = (call.name, call.where, tuple(inputs), tuple(outputs), numbers, call.layer, call.within)
            self.happened(Event(*own))

    def happened(self, event: Event) -> None:
        """Called after every operation on channels."""
        self.state.trace.events.append(event)

    def _where(self) -> tuple[str, str, str]:
        """The line of the network's own code that is at work, or the module if all code is torch's; that module; and
        the one whose code it is.
        """
        module = line = ""
        for frame in frames_until(self._entered):
            file = file_of_network(frame.f_code.co_filename)
            if file is not None:
                line = line or f"{file}:{frame.f_lineno}"
                within = module_in(frame, self._modules) if self.asks_whose else ""
                if within is not None:
                    return line, module, within
            module = module if module or line else module_in(frame, self._modules) or ""
        return line or f"module '{module}'", module, ""
