"""Inputs of a file, at sizes where it leaves sides open."""

from pathlib import Path

import pytest
import torch
from onnx import TensorProto, helper

from netslim.core.errors import CheckpointError, UsageError
from netslim.models.onnx_import.ports import closed, ports_of, write_fixed_

SIDES = (48, 320)


def given(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (["n", 3, "h", "w"], (2, 3, 48, 320)),
        (["n", None, "h", "w"], (2, 3, 48, 320)),
        (["n", "h", "w", 3], (2, 48, 320, 3)),
        ([1, 1, 28, 28], (1, 1, 28, 28)),
        (["n", "length"], (2, 320)),
        (["n"], (2,)),
        ([], ()),
    ],
)
def test_open_sides_are_what_is_usual(shape, found):
    (port,) = ports_of(Path("f"), [given("x", shape)], SIDES, None, 2)
    assert (port.shape, port.free) == (found, tuple(not isinstance(side, int) for side in shape))


def test_sides_of_one_name_are_of_one_size():
    ports = ports_of(Path("f"), [given("x", ["n", "t"]), given("h", [2, "n", 128])], SIDES, (5, 100), 2)
    assert [port.shape for port in ports] == [(5, 100), (2, 5, 128)]


def test_a_shape_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match=r"`input_shape=\[1, 4\]`: input 'x' is \?x3 \(\? is free\)"):
        ports_of(Path("f"), [given("x", ["n", 3])], SIDES, (1, 4), 2)
    with pytest.raises(CheckpointError, match="f: input 'x' is no tensor of known type"):
        ports_of(Path("f"), [given("x", ["n"], TensorProto.STRING)], SIDES, None, 2)


def test_sides_that_are_fixed_are_written():
    graph = helper.make_graph([], "g", [given("x", ["n", "t"]), given("h", ["n", 4])], [])
    ports = ports_of(Path("f"), graph.input, SIDES, None, 2)
    fixed = {("x", 1): "cond"}
    first, second = closed(ports, fixed)
    assert (first.free, first.names, second) == ((True, False), ("n", ""), ports[1])
    lines = write_fixed_(graph, ports, fixed)
    assert lines == ("side 1 of input 'x' is fixed at 320: node 'cond' (If) asks for it",)
    assert [side.dim_value for side in graph.input[0].type.tensor_type.shape.dim] == [0, 320]
    assert ports[0].dtype == torch.float32
