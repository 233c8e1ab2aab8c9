"""Rows of a layer's input times its matrix are rows of its output, for layers of every kind."""

import pytest
import torch
from torch import nn

from netslim.reconstruction.linear_map import by_group, inputs_at, matrix_of, outputs_at, some_places, weight_of

LAYERS = [
    (nn.Linear(5, 7), (2, 3, 5)),
    (nn.Conv1d(4, 5, 3, dilation=2, padding="same"), (2, 4, 11)),
    (nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2), (2, 6, 9, 9)),
    (nn.Conv2d(6, 6, 5, groups=6, padding=2, padding_mode="reflect"), (1, 6, 9, 9)),
    (nn.Conv2d(3, 4, (1, 3), stride=(2, 1), padding="valid"), (2, 3, 6, 7)),
    (nn.Conv3d(2, 3, (1, 3, 3), padding=(0, 1, 1)), (2, 2, 4, 5, 5)),
    (nn.ConvTranspose1d(4, 6, 4, stride=3, dilation=2), (2, 4, 5)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 4, 5, 5)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda each: str(each)[:40])
def test_a_layer_is_its_matrix(layer: nn.Module, shape: tuple[int, ...]) -> None:
    layer = layer.double()
    x = torch.randn(shape, dtype=torch.float64)
    y = layer(x)
    places = some_places(layer, y, 40, torch.Generator().manual_seed(0))
    rows = inputs_at(layer, x, places) @ matrix_of(layer, layer.weight) + by_group(layer, layer.bias[None])
    torch.testing.assert_close(rows, by_group(layer, outputs_at(layer, y, places)))
    assert torch.equal(weight_of(layer, matrix_of(layer, layer.weight)), layer.weight)


def test_places_are_all_or_as_many_as_asked_and_each_once() -> None:
    y = torch.zeros(2, 3, 4, 5)
    for most, count in ((1000, 40), (7, 7)):
        places = some_places(nn.Conv2d(1, 3, 1), y, most, torch.Generator().manual_seed(0))
        assert len({*zip(*(part.tolist() for part in places), strict=True)}) == count
