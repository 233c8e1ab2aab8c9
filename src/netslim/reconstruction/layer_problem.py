"""What one layer of a small network lacks of the large one's, gathered image by image, and the change that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.networks.layer_calls import is_as_torch
from netslim.reconstruction.linear_map import (
    Places,
    by_group,
    groups_of,
    inputs_at,
    matrix_of,
    outputs_at,
    some_places,
    weight_of,
)
from netslim.reconstruction.normal_equations import Fit, Sums, fitted
from netslim.reconstruction.watch import Seen

HELD_OUT = 4  # one image in so many
_PER_INPUT = 64  # rows per input of a layer that are enough
_ROUNDING = 1e-11  # of the squares of an output: a layer that lacks no more lacks nothing
_WORK = 3e10  # multiply-adds that a layer's sums may take


class LayerProblem:
    """The least squares of one weight, over all its uses.

    Args:
        layer: of the small network; of several that have the weight in common, one.
        norm: the BatchNorm that alone reads what it gives, or None.
        keep: the channels of the original's output that are left, None for all.
        batches: how many there will be of every use.
        seed: of which places count.
    """

    def __init__(self, layer: Any, norm: Any, keep: Tensor | None, batches: int, seed: int) -> None:
        self._layer, self._norm, self._keep = layer, norm, keep
        self._matrix = matrix_of(layer, layer.weight.detach()).double()
        self._rows = _rows(self._matrix) // batches + 1
        self._generator = torch.Generator().manual_seed(seed)
        self._constant = layer.bias is not None or norm is not None
        like = torch.cat([self._matrix, self._matrix[:, :1]], 1) if self._constant else self._matrix
        self._fit, self._held_out = Sums(like), Sums(like)
        self._wanted = 0.0

    @torch.no_grad()
    def add(self, layer: Any, here: Seen, there: Seen, passed: int) -> None:
        """Takes what one batch shows of a layer with this weight, after so many images."""
        places = some_places(layer, there.value, self._rows, self._generator)
        inputs = inputs_at(layer, here.value, places).double()
        wanted = outputs_at(layer, there.value, places).double()
        wanted = wanted if self._keep is None else wanted[:, self._keep]
        lacks = self._lacking(layer, inputs, wanted, here, places)
        if self._constant:
            inputs = torch.cat([inputs, inputs.new_ones(*inputs.shape[:2], 1)], 2)
        held = held_out(places[0], passed)
        self._wanted += float(wanted[held].square().sum())
        self._fit.add(inputs[:, ~held], lacks[:, ~held])
        self._held_out.add(inputs[:, held], lacks[:, held])

    def _lacking(self, layer: Any, inputs: Tensor, wanted: Tensor, here: Seen, places: Places) -> Tensor:
        """What the layer's outputs lack, shape (groups, places, outputs of a group)."""
        own = inputs @ self._matrix + (0 if layer.bias is None else by_group(layer, layer.bias[None].double()))
        if here.other is None:
            return by_group(layer, wanted) - own
        wanted = wanted - outputs_at(layer, here.other, places).double()
        if self._norm is None:
            return by_group(layer, wanted) - own
        scale, shift = _affine(self._norm)
        scales = by_group(layer, scale[None])
        lacks = by_group(layer, wanted) - own * scales - by_group(layer, shift[None])
        loud = scales.abs() > 1e-3 * scale.abs().max()  # of the others nothing arrives, whatever the layer gives
        return torch.where(loud, lacks / torch.where(loud, scales, 1.0), 0.0)

    @torch.no_grad()
    def solve_(self) -> tuple[float, float]:
        """Changes the layer. Returns the root mean square of what it lacked and lacks, on the images held out."""
        count, lacked = max(self._held_out.count, 1), float(self._held_out.squares.sum())
        if lacked <= _ROUNDING * self._wanted:
            return (lacked / count) ** 0.5, (lacked / count) ** 0.5
        fit, layer = fitted(self._fit, self._held_out, free=int(self._constant)), self._layer
        inputs = self._matrix.shape[1]
        layer.weight.copy_(weight_of(layer, (self._matrix + fit.change[:, :inputs]).to(layer.weight.dtype)))
        if self._constant:
            self._shift_(fit)
        return (fit.before / count) ** 0.5, (fit.after / count) ** 0.5

    def _shift_(self, fit: Fit) -> None:
        constant = fit.change[:, -1].flatten()
        if self._layer.bias is not None:
            self._layer.bias += constant.to(self._layer.bias.dtype)
        else:
            self._norm.running_mean -= constant.to(self._norm.running_mean.dtype)


@torch.no_grad()
def is_linear(layer: Any, x: Tensor) -> bool:
    """Whether a layer computes what those of its class do: weights may be standardised, or padding be its own.

    Not one whose numbers are computed for a call (`torch.func.functional_call`): what is fitted would be gone after it.
    """
    numbers = (layer.weight, layer.bias)
    if not all(isinstance(own, nn.Parameter | None) for own in numbers) or not is_as_torch(layer):
        return False
    y = layer(x)
    places = some_places(layer, y, 64, torch.Generator().manual_seed(0))
    found = inputs_at(layer, x, places) @ matrix_of(layer, layer.weight)
    given = by_group(layer, outputs_at(layer, y, places))
    bias = 0 if layer.bias is None else by_group(layer, layer.bias[None])
    if found.shape != given.shape:
        return False
    return bool(torch.allclose(found + bias, given, rtol=1e-3, atol=1e-3 * float(given.abs().max())))


def held_out(images: Tensor, passed: int) -> Tensor:
    """Which of the images of a batch, by their number, are held out, after so many."""
    return (images + passed) % HELD_OUT == HELD_OUT - 1


def _rows(matrix: Tensor) -> int:
    """How many rows a layer's sums get: more say little, and take their time."""
    groups, inputs, _ = matrix.shape
    return int(max(4 * inputs, min(_PER_INPUT * inputs + 4096, _WORK / (groups * inputs * inputs))))


def _affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What a BatchNorm in evaluation multiplies by and adds."""
    own: Any = norm
    scale = (own.running_var.double() + own.eps).rsqrt()
    scale = scale if own.weight is None else scale * own.weight.double()
    shift = -own.running_mean.double() * scale
    return scale, (shift if own.bias is None else shift + own.bias.double())


def are_one_map(layers: Sequence[Any]) -> bool:
    """Whether modules of one weight do the same with it, wherever they are used; of grouped transposed ones none do."""
    first = layers[0]
    if getattr(first, "transposed", False) and groups_of(first) > 1:
        return False
    alike = all(type(layer) is type(first) and groups_of(layer) == groups_of(first) for layer in layers)
    return alike and all(layer.bias is first.bias for layer in layers)
