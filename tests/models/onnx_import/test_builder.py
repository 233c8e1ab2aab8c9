"""The torch graph that is made: what is shared stays one, and no size is believed."""

import numpy as np
import pytest
from onnx import helper
from onnx_graphs import difference, made, numbers, read

from netslim.core.errors import CheckpointError


def test_a_constant_that_would_fill_the_memory_is_refused(tmp_path):
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["z"]), helper.make_node("Add", ["x", "z"], ["y"])]
    model = made(nodes, {"x": ["n", 3]}, ["y"], {"s": np.array([2**40, 2**20])})
    with pytest.raises(CheckpointError, match="full would make a tensor of 1099511627776x1048576 numbers"):
        read(tmp_path / "net.onnx", model)


def test_weights_that_two_nodes_share_stay_one(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w"], ["y"], pads=[1, 1, 1, 1]),
    ]
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3, 8, 8]}, ["y"], {"w": numbers(3, 3, 3, 3)}))
    assert len([*network.parameters()]) == 1
    assert difference(tmp_path / "net.onnx", network) < 1e-5


def test_matrices_that_many_steps_share_stay_one(tmp_path):
    nodes = [helper.make_node("MatMul", [given, "w"], [out]) for given, out in (("x", "a"), ("a", "b"), ("b", "y"))]
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3]}, ["y"], {"w": numbers(3, 3)}))
    assert len([*network.parameters()]) == 1
