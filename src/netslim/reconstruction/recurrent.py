"""What a recurrent layer does to its inputs before the first step: a linear layer, with the recurrent one's weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence


class InputWeights(nn.Linear):
    """A linear layer on the very parameters that a recurrent layer reads its inputs with."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None) -> None:
        super().__init__(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
        self.weight = weight
        if bias is not None:
            self.bias = bias


def input_weights(name: str, module: nn.Module) -> Iterator[tuple[str, InputWeights]]:
    """Of a recurrent module its first layer's, one per direction, under the name of the weight; of others none."""
    if not isinstance(module, nn.RNNBase):
        return
    for direction in ("", "_reverse") if module.bidirectional else ("",):
        weight, bias = (getattr(module, f"{kind}_ih_l0{direction}", None) for kind in ("weight", "bias"))
        if isinstance(weight, nn.Parameter) and (bias is None or isinstance(bias, nn.Parameter)):
            yield f"{name}.weight_ih_l0{direction}".lstrip("."), InputWeights(weight, bias)


def sequences(module: Any, x: Tensor | PackedSequence) -> Tensor:
    """A recurrent module's input with its images first, as far as it has images and steps: (images, ..., inputs)."""
    if isinstance(x, PackedSequence):
        return x.data
    return x if module.batch_first or x.dim() < 3 else x.transpose(0, 1)
