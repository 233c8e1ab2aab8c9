"""What a run of a network on shapes leaves behind: labels of channels, and what happened to them in which order."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from netslim.core.networks.decisions import Decisions
from netslim.core.networks.example import Inputs
from netslim.core.tie import Tie
from netslim.dependency.channel_sets import ChannelSets, TensorChannels
from netslim.dependency.meta_ops import tensors_in

_ALIASES = {"_unsafe_view": "view"}  # which of them a reshape is depends on the strides
Place = tuple[str, int]  # name of a parameter or buffer, and one of its dimensions


@dataclass(frozen=True)
class Weight:
    """A parameter of several dimensions, transposed or reshaped perhaps.

    Dimension i is dimension `dims[i]` of the parameter, or None where it was added.
    """

    name: str
    dims: tuple[int | None, ...]

    def dim(self, number: int) -> int:
        """The parameter's dimension. Raises ValueError for one that was added."""
        found = self.dims[number]
        if found is None:
            raise ValueError(f"dimension {number} is none of {self.name}")
        return found


Results = Sequence[TensorChannels | Weight | None]  # what each tensor that an operation gives carries


@dataclass(frozen=True)
class Call:
    """One operation at work.

    Attributes:
        name: "add" for aten.add.Tensor and aten.add_.Tensor.
        func, args, kwargs: the operation and what it was given.
        given: all arguments by their name in the operation's schema.
        out: the tensors that it gave.
        where: line of the network's code.
        layer: name of the innermost module of torch's at work, or "".
        within: name of the module whose code the line is of, or "".
    """

    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    given: dict[str, Any]
    out: list[Tensor]
    where: str
    layer: str = ""
    within: str = ""

    @functools.cached_property
    def tensors(self) -> list[Tensor]:
        """The tensors that it was given."""
        return tensors_in((self.args, self.kwargs))

    def __str__(self) -> str:
        return f"{self.name} at {self.where}"


@functools.cache
def name_of(func: Any) -> str:
    """ "add" for aten.add.Tensor and aten.add_.Tensor."""
    name: str = func.overloadpacket.__name__
    return _ALIASES.get(name, name.removesuffix("_"))


def given_to(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """What an operation is given, by the names of its arguments, and what it takes where nothing is given."""
    names, defaults = _schema(func)
    return {**defaults, **dict(zip(names, args, strict=False)), **kwargs}


@functools.cache
def _schema(func: Any) -> tuple[list[str], dict[str, Any]]:
    """The names of an operation's arguments, and the defaults."""
    arguments = func._schema.arguments
    defaults = {argument.name: argument.default_value for argument in arguments if argument.has_default_value()}
    return [argument.name for argument in arguments], defaults


@dataclass(frozen=True)
class Event:
    """What one operation did to the labels.

    Attributes:
        name, where, layer, within: as in `Call`.
        inputs: what it read.
        outputs: what it gave, with the shapes.
        numbers: what else it was given and may not depend on widths: numbers that are no sizes, and constants.
    """

    name: str
    where: str
    inputs: tuple[TensorChannels, ...]
    outputs: tuple[tuple[tuple[int, ...], TensorChannels | None], ...]
    numbers: tuple[object, ...] = ()
    layer: str = ""
    within: str = ""

    def __str__(self) -> str:
        return f"{self.where} ({self.name})"

    @property
    def place(self) -> tuple[str, str, str]:
        """What is done where: the same for all modules of one class."""
        return self.name, self.where, self.layer


@dataclass(frozen=True)
class Width:
    """A number that a module holds, or one of a tuple of such.

    Attributes:
        module: its name.
        name: the attribute's.
        number: which of the tuple.
    """

    module: str
    name: str
    number: int | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a network on shapes: in which mode, and on `TensorSpec`s in the places of tensors.

    Where values decide what the network does, `decisions` are what it decided in a run with values.
    """

    training: bool
    inputs: Inputs
    decisions: Decisions | None = None


@dataclass(frozen=True)
class Question:
    """What Python asked of a value: at which line, which decision of the run it was, and the answer."""

    where: str
    number: int
    answer: bool


@dataclass
class Trace:
    """What is known of a network after it ran.

    Attributes:
        sets: the sets of channels.
        dims: labels along the dimensions of parameters and buffers.
        axes: the dimension of parameters and buffers that are vectors, None for those that are more.
        grouping: of weights of grouped convolutions, whether groups go as a whole.
        ties: of weights, which rows go together, where the plan says so by which the network was pruned.
        silenced: dimensions of `dims` along which zeros silence a channel.
        scales: names of BatchNorm weights, in the order of their use.
        used: names of the parameters and buffers that took part.
        events: everything that happened, in order.
        whole: whether functions were called that are taken whole.
        met: names of parameters of several dimensions that channels met number by number.
        beside: what fixed filters, and matrices that act beside channels, multiply in the first run, and the labels of
            these channels.
        zeros: labels of constants that are zero all over and joined to channels.
        widths: numbers that modules hold, and the dimension whose length each of them is.
        in_vain: what is done where, and names of numbers that were no help there.
    """

    sets: ChannelSets
    dims: dict[Place, Tensor] = field(default_factory=dict)
    axes: dict[str, int | None] = field(default_factory=dict)
    grouping: dict[str, bool] = field(default_factory=dict)
    silenced: set[Place] = field(default_factory=set)
    scales: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    whole: bool = False
    met: set[str] = field(default_factory=set)
    beside: list[tuple[int, Tensor]] = field(default_factory=list)
    zeros: list[Tensor] = field(default_factory=list)
    widths: dict[Width, Place] = field(default_factory=dict)
    in_vain: set[tuple[tuple[str, str, str], str]] = field(default_factory=set)
    ties: Mapping[str, Tie] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[Place, int]:
        """The length of every dimension that has labels."""
        return {place: len(labels) for place, labels in self.dims.items()}
