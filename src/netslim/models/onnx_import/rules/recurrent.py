"""Recurrent layers, as text recognisers and voice detectors have them after their convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netslim.models.onnx_import.builder import Builder, layer_name
from netslim.models.onnx_import.operators import Operator, activation, operator
from netslim.models.onnx_import.reset_first import ResetFirstGRU
from netslim.models.onnx_import.values import Constant, Value


@dataclass(frozen=True)
class _Kind:
    """A recurrent layer.

    Attributes:
        to_torch, to_onnx: the gates of one in the order of the other.
        activations: of one direction, as torch has them.
        states: places of the inputs for the first states.
    """

    to_torch: tuple[int, ...]
    to_onnx: tuple[int, ...]
    activations: tuple[str, ...]
    states: tuple[int, ...] = (5,)


_KINDS: Mapping[str, _Kind] = {
    # input, output, forget, cell in ONNX; input, forget, cell, output in torch
    "LSTM": _Kind((0, 2, 3, 1), (0, 3, 1, 2), ("Sigmoid", "Tanh", "Tanh"), (5, 6)),
    "GRU": _Kind((1, 0, 2), (1, 0, 2), ("Sigmoid", "Tanh")),  # update, reset, new in ONNX; reset, update, new in torch
    "RNN": _Kind((0,), (0,), ("Tanh",)),
}
_ENDS = ("", "_reverse")


@operator(*_KINDS)
def recurrent(build: Builder, node: Operator) -> tuple[Value, ...]:
    """One layer over (time, batch, features), in one or both directions; backwards it is one of the turned sequence."""
    kind, given = _KINDS[node.kind], activation(node)
    activations = _activations(node, kind)
    _check(node, given.like.shape[0])
    backwards = node.attributes.get("direction", "forward") == "reverse"
    layer = _Layer.of(node, kind, activations)
    value = node.value(1)
    name = layer_name(value.name if isinstance(value, Constant) else "", node.name)
    taken: Value = build.call(torch.flip, given, [0]) if backwards else given
    output, last = build.layer(layer.make, name, [taken, *_states(build, node, kind)])
    _place(build, node, layer, build.path_of(output))
    apart = build.call(torch.unflatten, output, -1, (layer.directions, -1))
    result = build.call(torch.permute, apart, (0, 2, 1, 3))
    if backwards:
        result = build.call(torch.flip, result, [0])
    return result, *(last if isinstance(last, tuple) else (last,))


def _activations(node: Operator, kind: _Kind) -> tuple[str, ...]:
    """Of one direction. Raises CheckpointError for such as torch's layer does not have."""
    found = tuple(str(each) for each in node.attributes.get("activations", kind.activations))
    each = found[: len(kind.activations)]
    known = (kind.activations, ("Relu",)) if node.kind == "RNN" else (kind.activations,)
    if each not in known or found != each * (len(found) // len(each)):
        raise node.refusal(f"has activations {', '.join(found)}, which torch's {node.kind} does not have")
    return each


def _check(node: Operator, moments: int) -> None:
    """Raises CheckpointError for what torch's layer does not have."""
    attributes = node.attributes
    odd = [name for name in ("layout", "input_forget", "clip") if attributes.get(name, 0)]
    if odd or node.input(7) is not None:
        raise node.refusal(f"has {', '.join(odd) or 'peepholes'}, which torch's {node.kind} does not have")
    lengths = node.input(4)
    whole = isinstance(lengths, Constant) and bool((lengths.tensor == moments).all())
    if lengths is not None and not whole:
        raise node.refusal("has sequences of several lengths")


def _states(build: Builder, node: Operator, kind: _Kind) -> list[object]:
    """The first states, as torch takes them: none, one, or a pair."""
    found = [build.tensor(state) for state in map(node.input, kind.states) if state is not None]
    if len(found) not in (0, len(kind.states)):
        raise node.refusal("has one of its two first states")
    if len(kind.states) > 1:
        return [tuple(found)] if found else []
    return [*found]


@dataclass(frozen=True, eq=False)
class _Layer:
    """What torch's layer is made of.

    Attributes:
        kind: with the order of its gates.
        cell: torch's class.
        weight, recurrent, bias: the file's, (directions, gates x hidden, ...).
        nonlinearity: of a plain one, or "".
    """

    kind: _Kind
    cell: type[nn.Module]
    weight: Tensor
    recurrent: Tensor
    bias: Tensor | None
    nonlinearity: str = ""

    @classmethod
    def of(cls, node: Operator, kind: _Kind, activations: Sequence[str]) -> _Layer:
        """Of a node. Raises CheckpointError where its weights are missing."""
        weight, recurrent, bias = (node.constant(place) for place in (1, 2, 3))
        if weight is None or recurrent is None:
            raise node.refusal("has no weights")
        cells: dict[str, type[nn.Module]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
        cell = cells[node.kind]
        if node.kind == "GRU" and not node.attributes.get("linear_before_reset", 0):
            cell = ResetFirstGRU
        return cls(kind, cell, weight, recurrent, bias, activations[0].lower() if node.kind == "RNN" else "")

    @property
    def directions(self) -> int:
        return len(self.weight)

    def make(self) -> nn.Module:
        extra = {"nonlinearity": self.nonlinearity} if self.nonlinearity else {}
        sizes = (self.weight.shape[2], self.recurrent.shape[2])
        layer = self.cell(*sizes, bias=self.bias is not None, bidirectional=self.directions == 2, **extra)
        layer.load_state_dict(self._state())
        return layer

    def _state(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        order = self.kind.to_torch
        for at, end in enumerate(_ENDS[: self.directions]):
            found[f"weight_ih_l0{end}"] = _ordered(self.weight[at], order)
            found[f"weight_hh_l0{end}"] = _ordered(self.recurrent[at], order)
            if self.bias is not None:
                for part, bias in zip(("ih", "hh"), self.bias[at].chunk(2), strict=True):
                    found[f"bias_{part}_l0{end}"] = _ordered(bias, order)
        return found


def _place(build: Builder, node: Operator, layer: _Layer, path: str) -> None:
    order, ends = layer.kind.to_onnx, _ENDS[: layer.directions]

    def stacked(*directions: Tensor) -> Tensor:
        return torch.stack([_ordered(tensor, order) for tensor in directions])

    def paired(*biases: Tensor) -> Tensor:
        """Of each direction the bias of the input and that of the state, one after the other."""
        ordered = [_ordered(tensor, order) for tensor in biases]
        return torch.stack([torch.cat(ordered[at : at + 2]) for at in range(0, len(ordered), 2)])

    build.place(node.value(1), [f"{path}.weight_ih_l0{end}" for end in ends], stacked)
    build.place(node.value(2), [f"{path}.weight_hh_l0{end}" for end in ends], stacked)
    build.place(node.input(3), [f"{path}.bias_{part}_l0{end}" for end in ends for part in ("ih", "hh")], paired)


def _ordered(tensor: Tensor, order: Sequence[int]) -> Tensor:
    """The gates in another order."""
    gates = tensor.chunk(len(order))
    return torch.cat([gates[at] for at in order])
