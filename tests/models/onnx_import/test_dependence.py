"""Open sides that a size depends on are found by what other sizes give."""

import pytest
import torch
import torch.nn.functional as F

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.dependence import sides_behind
from netslim.models.onnx_import.source import Port


def behind(make, *ports):
    build = Builder()
    given = [build.input(port.name, torch.empty(port.shape, dtype=port.dtype)) for port in ports]
    return sides_behind(build, make(build, *given).node, ports)


def port(name, shape, free, names=()):
    return Port(name, shape, torch.float32, free, names)


X = port("x", (2, 3, 8), (True, False, True))


@pytest.mark.parametrize(
    ("function", "dim", "sides"),
    [
        (torch.relu, 0, {("x", 0)}),
        (torch.relu, 1, set()),
        (torch.relu, 2, {("x", 2)}),
        (lambda x: F.avg_pool1d(x, 4, 16), 2, {("x", 2)}),  # one window at 8, at 16 and at 24
        (lambda x: F.adaptive_avg_pool1d(x, 4), 2, set()),
        (lambda x: torch.flatten(x, 0, 1), 0, {("x", 0)}),
        (lambda x: torch.reshape(x, (2, 24)), 1, {("x", 0), ("x", 2)}),  # at no other sizes
    ],
)
def test_a_size_depends_on_the_sides_with_which_it_changes(function, dim, sides):
    assert behind(lambda build, x: build.size(build.call(function, x), dim), X) == sides


def test_numbers_that_are_computed_depend_on_all_that_they_are_computed_of():
    def product(build, x):
        sizes = [build.size(build.call(torch.relu, x), dim) for dim in (0, 1)]
        return build.number(lambda a, b: a * b % 2, *sizes)

    assert behind(product, X) == {("x", 0)}


def test_sides_of_one_name_are_one():
    ports = (port("x", (2, 3), (True, False), ("n", "")), port("h", (1, 2), (False, True), ("", "n")))
    assert behind(lambda build, x, h: build.size(h, 1), *ports) == {("x", 0), ("h", 1)}
