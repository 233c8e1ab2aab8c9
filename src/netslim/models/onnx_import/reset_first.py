"""The gated recurrent unit as Cho et al. (2014, arXiv 1406.1078) have it, which ONNX knows and torch does not.

Its reset gate acts on the state before the state's matrix: n = tanh(W x + b + R (r * h) + c). torch's `GRU` and cuDNN's
have n = tanh(W x + b + r * (R h + c)), ONNX's `linear_before_reset`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ENDS = ("", "_reverse")


class ResetFirstGRU(nn.Module):
    """One layer over (time, batch, features), with names and gates (reset, update, new) of torch's `GRU`.

    Args:
        input_size: features.
        hidden_size: of the state.
        bias: whether the gates have biases.
        bidirectional: whether a second one goes backwards.
    """

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True, bidirectional: bool = False) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (3 * hidden_size, input_size),
            "weight_hh": (3 * hidden_size, hidden_size),
        }
        if bias:
            shapes |= {"bias_ih": (3 * hidden_size,), "bias_hh": (3 * hidden_size,)}
        for end in _ENDS[: 1 + bidirectional]:
            for name, shape in shapes.items():
                self.register_parameter(f"{name}_l0{end}", nn.Parameter(torch.zeros(shape)))

    def forward(self, given: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (time, batch, directions x hidden) and last states (directions, batch, hidden).

        Args:
            given: (time, batch, features).
            first: states, (directions, batch, hidden); None: zeros.
        """
        outputs, states = [], []
        for at, end in enumerate(_ENDS[: 1 + self.bidirectional]):
            hidden = getattr(self, f"weight_hh_l0{end}").shape[1]
            state = given.new_zeros(given.shape[1], hidden) if first is None else first[at]
            steps = self._steps(given.flip(0) if end else given, state, end)
            outputs.append(torch.stack(steps).flip(0) if end else torch.stack(steps))
            states.append(steps[-1])
        return torch.cat(outputs, -1), torch.stack(states)

    def _steps(self, given: Tensor, state: Tensor, end: str) -> list[Tensor]:
        """The states after each moment."""
        weight, bias = getattr(self, f"weight_hh_l0{end}"), getattr(self, f"bias_hh_l0{end}", None)
        inputs = F.linear(given, getattr(self, f"weight_ih_l0{end}"), getattr(self, f"bias_ih_l0{end}", None))
        both, new = weight.tensor_split([2 * weight.shape[1]])
        both_bias, new_bias = (None, None) if bias is None else bias.tensor_split([2 * weight.shape[1]])
        found = []
        for moment in inputs.unbind(0):
            first, second, third = moment.chunk(3, -1)
            reset, update = F.linear(state, both, both_bias).chunk(2, -1)
            reset, update = torch.sigmoid(first + reset), torch.sigmoid(second + update)
            candidate = torch.tanh(third + F.linear(reset * state, new, new_bias))
            state = (1 - update) * candidate + update * state
            found.append(state)
        return found
