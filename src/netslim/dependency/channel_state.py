"""What a run of a network knows of its channels, operation by operation: what rules read and write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from netslim.dependency.channel_sets import ChannelSets, TensorChannels, everywhere, tied
from netslim.dependency.even_constants import EvenConstants
from netslim.dependency.tensor_set import TensorSet
from netslim.dependency.trace import Call, Place, Results, Trace, Weight

_Source = tuple[Weight, torch.Size]
_IN_PART = "is written into a part of another tensor"


@dataclass(frozen=True, eq=False)
class _Filled:
    """The labels of a new tensor's parts along an axis, where there are any so far."""

    axis: int
    labels: Tensor
    there: Tensor


class ChannelState:
    """The channels of the tensors of one network while it runs on shapes.

    Args:
        model: a network of shapes (see `meta`).
        trace: what is known already; what is found goes there.

    Attributes:
        sets: which channels go together.
        trace: dimensions of parameters and buffers, and what became of them.
    """

    def __init__(self, model: nn.Module, trace: Trace) -> None:
        self.trace = trace
        self.sets: ChannelSets = trace.sets
        named = [*model.named_parameters(), *model.named_buffers()]
        self._names = {id(own): name for name, own in named if own.is_floating_point() or own.dtype == torch.bool}
        self._learnt = {name for name, _ in model.named_parameters()}
        self._masks = {name for name, own in named if own.dtype == torch.bool}
        layers = [module for module in model.modules() if isinstance(module, nn.Linear | _ConvNd)]
        self._layers = {id(layer.weight) for layer in layers}
        self._of_layers = {name for name, own in named if id(own) in self._layers}
        self.even = EvenConstants()
        self.nothing: Callable[[int, int], Tensor] = lambda _, width: self.sets.fresh(width)  # labels of joined zeros
        self.zeros = TensorSet()  # new tensors that nothing was written to
        self.scales_alone = False  # whether only scales silence: a layer's weight gives something in any case
        self.counts = False  # whether this is the run in which products are counted
        self.training = False  # whether this is a run as in training: what is silent counts in evaluation alone
        self.unwritten = TensorSet()  # tensors made in the shape of others, to be written to perhaps
        self.written = dict[int, tuple[Tensor, Tensor]]()  # of new tensors: what was written to, and where it is silent
        self._added: dict[Place, set[Place]] = {}  # dimensions of weights, and of others that are added to them
        self._filled: dict[int, _Filled] = {}  # new tensors, by id
        self._derived: dict[int, dict[_Source, None]] = {}  # constants by id, and the weights they are from
        self._fixed = TensorSet()  # tensors computed from parameters and buffers alone
        self._drawn = TensorSet()  # constants drawn at random in training
        self._repeated = TensorSet()  # tensors of unknown values that are alike along their first dimension
        self._tensors: dict[int, Tensor] = {}  # kept, so that their ids stay theirs
        self._states: dict[int, TensorChannels | Weight | None] = {}

    def set(self, tensor: Tensor, state: TensorChannels | Weight | None) -> None:
        """Notes what an activation carries."""
        self._tensors[id(tensor)], self._states[id(tensor)] = tensor, state

    def note_new(self, tensor: Tensor, *, zero: bool) -> None:
        """A tensor was made to be written to."""
        (self.zeros if zero else self.unwritten).add(tensor)

    def renamed(self, old: Tensor, new: Tensor) -> None:
        """The same new tensor, as torch hands it out."""
        for marked in (self.zeros, self.unwritten):
            if old in marked:
                marked.add(new)
        self.even.renamed(old, new)

    def changed(self, tensor: Tensor) -> None:
        """A constant was written to a constant, or to a part of it: it is not all zeros any more."""
        self.zeros.discard(tensor if tensor._base is None else tensor._base)
        self.even.changed(tensor)

    def fill(self, whole: Tensor, axis: int, here: slice, labels: Tensor) -> Tensor | None:
        """Notes the labels of a part of a new tensor along an axis; gives all of them once all are known."""
        self._tensors[id(whole)] = whole
        if id(whole) not in self._filled:
            width = whole.shape[axis]
            empty = torch.zeros(width, dtype=torch.int64), torch.zeros(width, dtype=torch.bool)
            self._filled[id(whole)] = _Filled(axis, *empty)
        known = self._filled[id(whole)]
        if known.axis != axis:
            self.sets.freeze(labels, _IN_PART)
            return None
        old = known.there[here].clone()
        self.sets.unite(known.labels[here][old], labels[old])
        known.labels[here], known.there[here] = torch.where(old, known.labels[here], labels), True
        return self._filled.pop(id(whole)).labels if everywhere(known.there) else None

    def read_all(self, tensors: Iterable[Tensor]) -> None:
        """An operation reads these: of new tensors that are filled in part nothing can go, as of a constant."""
        for tensor in tensors if self._filled else ():
            whole = tensor if tensor._base is None else tensor._base
            if (known := self._filled.pop(id(whole), None)) is not None:
                self.sets.freeze(known.labels[known.there], _IN_PART)
                self.set(whole, self.frozen(_IN_PART))
                self.set(tensor, self.frozen(_IN_PART))

    def freeze_unfilled(self) -> None:
        """What was written to new tensors stays where others of their channels were never written to."""
        self.read_all([self._tensors[own] for own in self._filled])

    def note_repeated(self, tensor: Tensor) -> None:
        """Notes that a tensor without values is the same all along its first dimension."""
        self._repeated.add(tensor)

    def is_repeated(self, tensor: Tensor, times: int) -> bool:
        """Whether a constant is the same that often, one after the other along its first dimension."""
        if tensor.is_meta:
            return tensor in self._repeated
        parts = tensor.detach().reshape(times, -1)
        return bool((parts == parts[:1]).all())

    def is_fixed(self, tensor: Tensor) -> bool:
        """Whether a tensor is a parameter, a buffer or a constant, or computed from such alone, from no activation."""
        return tensor in self._fixed or id(tensor) in self._names or not self.is_traced(tensor)

    def note_fixed(self, tensor: Tensor) -> None:
        """Notes that no activation had a part in a tensor."""
        self._fixed.add(tensor)

    def known(self, tensor: Tensor) -> TensorChannels | Weight | None:
        """What an activation carries; None for everything else, parameters included."""
        return self._states.get(id(tensor))

    def is_traced(self, tensor: Tensor) -> bool:
        """Whether a tensor is an activation, or a parameter or buffer of the network."""
        own = id(tensor)
        return self._states[own] is not None if own in self._states else own in self._names

    def state(self, tensor: Any) -> TensorChannels | Weight | None:
        """What a tensor carries; None for constants. Asking a vector of parameters gives labels to its channels."""
        if id(tensor) in self._states:
            return self._states[id(tensor)]
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
        return TensorChannels(axis, labels, torch.full((len(labels),), self.can_silence(name)))

    def channels(self, tensor: Any) -> TensorChannels | None:
        """What an activation carries; None for weights of several dimensions and for constants."""
        state = self.state(tensor)
        return state if isinstance(state, TensorChannels) else None

    def channels_along(self, tensor: Tensor, dim: int) -> TensorChannels | None:
        """The same with `dim` as the axis; None also where labels differ along another one."""
        channels = self.channels(tensor)
        return None if channels is None else channels.along(dim, tensor.shape[dim])

    def weight(self, tensor: Tensor) -> Weight | None:
        """The parameter that a tensor is, transposed or not; None if it was computed."""
        if id(tensor) in self._states:
            state = self._states[id(tensor)]
            return state if isinstance(state, Weight) else None
        name = self.name_of(tensor)
        if name is None:
            return None
        self.trace.used.add(name)
        return Weight(name, tuple(range(tensor.dim())))

    def produced(self, name: str, dim: int, size: int) -> Tensor:
        """The labels along a dimension of a parameter that gives channels (zeros there silence them)."""
        if self.can_silence(name):
            self.silences((name, dim))
        return self.along_weight(name, dim, size)

    def along_weight(self, name: str, dim: int, size: int) -> Tensor:
        """The labels along a dimension of a parameter, whatever they are of."""
        if (name, dim) not in self.trace.dims:
            self.trace.dims[name, dim] = tied(self.sets, self.trace.ties, name, dim, self.sets.fresh(size))
        return self.trace.dims[name, dim]

    def can_silence(self, name: str) -> bool:
        """Whether a parameter or buffer could be zero: a mask says what is taken, and nothing of how much."""
        return name not in self._masks

    def is_learnt(self, name: str) -> bool:
        """Whether it is a parameter; what is computed with a buffer in a weight's place does not end with a channel."""
        return name in self._learnt

    def follow(self, name: str, dim: int, labels: Tensor) -> None:
        """Ties a dimension of a parameter or buffer to channels."""
        self.trace.used.add(name)
        known = self.trace.dims.setdefault((name, dim), labels)
        if known is not labels:
            self.sets.unite(known, labels)

    def freeze_weight(self, weight: Weight, dims: Iterable[int], shape: Sequence[int], reason: str) -> None:
        """What goes along these dimensions of a weight, of such a shape, stays."""
        for dim in dims:
            own = weight.dims[dim]
            if own is not None and shape[dim] > 1:
                self.sets.freeze(self.along_weight(weight.name, own, shape[dim]), reason)

    def derive(self, tensors: Sequence[Tensor], out: Sequence[Tensor], own: Iterable[_Source] | None = None) -> None:
        """Notes which weights constants are made from in evaluation, if they are; `own` where it is a weight itself."""
        sources = dict.fromkeys(() if self.training or own is None else own)
        for tensor in () if self.training else tensors:
            sources |= self._derived.get(id(tensor), {})
            if own is None and isinstance(weight := self.state(tensor), Weight):
                sources[weight, tensor.shape] = None
        for tensor in out if sources else ():
            self._tensors[id(tensor)] = tensor  # so that its id stays its own
            self._derived[id(tensor)] = self._derived.get(id(tensor), {}) | sources

    def freeze_derived(self, tensors: Iterable[Tensor], reason: str) -> None:
        """These are read as numbers: what goes along the dimensions of weights they are made from stays."""
        for tensor in tensors if self._derived else ():
            for weight, shape in self._derived.get(id(tensor), ()):
                self.freeze_weight(weight, range(len(shape)), shape, reason)

    def freeze_drawn(self, call: Call, states: Results) -> None:
        """What is drawn at random in evaluation, too, is another number for another width: it stays."""
        if self.training or call.func is None or torch.Tag.nondeterministic_seeded not in call.func.tags:
            return
        for carried in states:
            if isinstance(carried, TensorChannels):
                self.sets.freeze(carried.labels, f"is drawn at random in evaluation by {call}")

    def note_drawn(self, tensors: Iterable[Tensor], out: Iterable[Tensor], *, draws: bool) -> None:
        """Notes which constants are drawn at random in training alone, or made from such, as masks and noise are."""
        if self.training and (draws or any(map(self.is_drawn, tensors))):
            for tensor in out:
                self._drawn.add(tensor)

    def is_drawn(self, tensor: Tensor) -> bool:
        """Whether a constant is drawn in training alone: for another width there are others, which mean the same."""
        return tensor in self._drawn

    def acts_beside(self, matrix: Tensor, carried: TensorChannels, call: Call) -> bool:
        """Whether a matrix is a constant, or a parameter or buffer that is no layer's; such a one stays as it is.

        What it multiplies becomes less with the channels that it acts beside.
        """
        state = self.state(matrix)
        if isinstance(state, TensorChannels) or not self.is_fixed(matrix):
            return False
        if isinstance(state, Weight):
            if state.name in self._of_layers:
                return False
            self.freeze_weight(state, range(matrix.dim()), matrix.shape, f"acts on all channels in {call}")
        self.count_beside(call.out[0].numel() * call.args[0].shape[-1], carried)
        return True

    def count_beside(self, macs: int, carried: TensorChannels) -> None:
        """Notes so many multiply-adds that become less with channels although no weight becomes smaller."""
        if self.counts:
            self.trace.beside.append((macs, carried.labels))

    def silences(self, place: Place) -> None:
        """Zeros along this dimension silence its channels, too, together with those of what is added to it."""
        self.trace.silenced |= {place, *self._added.get(place, ())}

    def silence_together(self, place: Place, other: Place) -> None:
        """Notes that weights are added: only zeros in both of them silence a channel."""
        self._added.setdefault(place, set()).update((other, *self._added.get(other, ())))

    def frozen(self, reason: str) -> TensorChannels:
        """What a tensor carries that was computed from all channels of another: nothing that could go."""
        return TensorChannels(None, self.sets.fresh(1, reason), torch.tensor([False]))

    def name_of(self, tensor: Any) -> str | None:
        """The name of a parameter or buffer."""
        return self._names.get(id(tensor))

    def inputs_of(self, tensors: Sequence[Tensor]) -> tuple[TensorChannels, ...]:
        """What those of the tensors that are activations carry."""
        states = [self._states.get(id(tensor)) for tensor in tensors]
        return tuple(state for state in states if isinstance(state, TensorChannels))


Rule = Callable[[ChannelState, Call], Results]  # what an operation does to channels
