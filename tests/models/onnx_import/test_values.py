"""What flows along the edges of a graph."""

import torch

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.values import Constant, Number, Numbers


def test_numbers_are_known_at_the_examples_sizes():
    build = Builder()
    image = build.input("x", torch.zeros(2, 3, 5))
    sides = Numbers(tuple(build.size(image, dim) for dim in range(3)))
    assert sides.values == (2, 3, 5)
    assert all(item.node is not None for item in sides.items)
    assert Numbers((Number(4.0),), scalar=True).values == (4.0,)


def test_two_values_of_the_same_numbers_are_two():
    """A value is told from others by what it is, not by what it holds: comparing tensors would be no answer."""
    assert Constant(torch.ones(2), "a") != Constant(torch.ones(2), "a")
    assert len({Number(1), Number(1)}) == 2
