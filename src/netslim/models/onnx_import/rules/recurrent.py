"""Recurrent layers, as text recognisers have them after their convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from netslim.models.onnx_import.builder import Builder, layer_name
from netslim.models.onnx_import.operators import Operator, activation, operator
from netslim.models.onnx_import.values import Constant, Value

_TO_TORCH = (0, 2, 3, 1)  # ONNX has the gates as input, output, forget, cell; torch as input, forget, cell, output
_TO_ONNX = (0, 3, 1, 2)
_USUAL = ["Sigmoid", "Tanh", "Tanh"]


@operator("LSTM")
def lstm(build: Builder, node: Operator) -> tuple[Value, ...]:
    """One layer over (time, batch, features), in one or both directions."""
    _check(node)
    given, weight, recurrent, bias = activation(node), node.constant(1), node.constant(2), node.constant(3)
    if weight is None or recurrent is None:
        raise node.refusal("has no weights")
    both, hidden = weight.shape[0] == 2, recurrent.shape[2]

    def make() -> nn.Module:
        layer = nn.LSTM(weight.shape[2], hidden, bias=bias is not None, bidirectional=both)
        layer.load_state_dict(_state(weight, recurrent, bias))
        return layer

    value = node.value(1)
    states = [build.tensor(state) for state in (node.input(5), node.input(6)) if state is not None]
    extra = [tuple(states)] if len(states) == 2 else []
    name = layer_name(value.name if isinstance(value, Constant) else "", node.name)
    output, (last, cell) = build.layer(make, name, [given, *extra])
    path, ends = build.path_of(output), ("", "_reverse")[: 1 + both]
    build.place(node.value(1), [f"{path}.weight_ih_l0{end}" for end in ends], _stacked)
    build.place(node.value(2), [f"{path}.weight_hh_l0{end}" for end in ends], _stacked)
    build.place(node.input(3), [f"{path}.bias_{kind}_l0{end}" for end in ends for kind in ("ih", "hh")], _paired)
    apart = build.call(torch.unflatten, output, -1, (1 + both, -1))
    return build.call(torch.permute, apart, (0, 2, 1, 3)), last, cell


def _check(node: Operator) -> None:
    """Raises CheckpointError for what torch's layer does not have."""
    attributes = node.attributes
    direction = attributes.get("direction", "forward")
    activations = [str(each) for each in attributes.get("activations", _USUAL)]
    odd = attributes.get("layout", 0) or attributes.get("input_forget", 0) or "clip" in attributes
    if direction == "reverse" or odd or activations != _USUAL * (len(activations) // 3) or node.input(7) is not None:
        raise node.refusal("has settings that torch's LSTM has not")
    if node.input(4) is not None:
        raise node.refusal("has sequences of several lengths")


def _state(weight: Tensor, recurrent: Tensor, bias: Tensor | None) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for at, end in zip(range(len(weight)), ("", "_reverse"), strict=False):
        found |= {
            f"weight_ih_l0{end}": _ordered(weight[at], _TO_TORCH),
            f"weight_hh_l0{end}": _ordered(recurrent[at], _TO_TORCH),
        }
        if bias is not None:
            first, second = bias[at].chunk(2)
            found |= {
                f"bias_ih_l0{end}": _ordered(first, _TO_TORCH),
                f"bias_hh_l0{end}": _ordered(second, _TO_TORCH),
            }
    return found


def _ordered(tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    """The gates in another order."""
    gates = tensor.chunk(4)
    return torch.cat([gates[at] for at in order])


def _stacked(*directions: Tensor) -> Tensor:
    return torch.stack([_ordered(tensor, _TO_ONNX) for tensor in directions])


def _paired(*biases: Tensor) -> Tensor:
    """Of each direction the bias of the input and that of the state, one after the other."""
    ordered = [_ordered(tensor, _TO_ONNX) for tensor in biases]
    return torch.stack([torch.cat(ordered[at : at + 2]) for at in range(0, len(ordered), 2)])
