"""Nodes that are followed one after another."""

import pytest
import torch
from onnx import helper
from onnx_graphs import classifier, difference, made, read

from netslim.core.errors import CheckpointError


def test_several_outputs_are_a_tuple(tmp_path):
    network = read(tmp_path / "net.onnx", classifier(outputs=["y", "p"]))
    assert [tuple(each.shape) for each in network(torch.zeros(2, 3, 8, 8))] == [(2, 5), (2, 4, 1, 1)]
    assert difference(tmp_path / "net.onnx", network) < 1e-5


def test_a_node_that_takes_what_is_not_there_is_named(tmp_path):
    model = made([helper.make_node("Relu", ["z"], ["y"], name="act")], {"x": ["n", 3]}, ["y"], {})
    with pytest.raises(CheckpointError, match=r"node 'act' \(Relu\) takes 'z', which nothing before it gives"):
        read(tmp_path / "net.onnx", model)
