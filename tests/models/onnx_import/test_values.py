"""What flows along the edges of a graph."""

import torch

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.values import Constant, Number, Numbers, Table, rearranged


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


def test_numbers_are_moved_as_those_of_a_tensor():
    row = Numbers(tuple(map(Number, (5, 6, 7, 8))))
    table = rearranged(row, lambda places: places.reshape(2, 2).flip(0))
    assert isinstance(table, Table)
    assert ([item.value for item in table.items], table.shape) == ([7, 8, 5, 6], (2, 2))
    assert rearranged(table, lambda places: places.t().flatten()).values == (7, 5, 8, 6)
    one = rearranged(table, lambda places: places[1, 0])
    assert (one.values, one.scalar) == ((5,), True)
    assert Builder().tensor(table).tensor.tolist() == [[7, 8], [5, 6]]
