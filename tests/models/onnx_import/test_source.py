"""What a network knows of the file that it was read from."""

import copy
from dataclasses import replace

import torch
from onnx_graphs import classifier, read
from torch import nn

from netslim.models.onnx_import.source import Port, keep_source_, source_of


def test_copies_of_a_network_share_what_is_known_of_its_file(tmp_path):
    network = read(tmp_path / "net.onnx", classifier())
    source = source_of(network)
    assert source_of(copy.deepcopy(network)) is source
    assert (source.path, source.outputs) == (tmp_path / "net.onnx", ("y",))
    assert source.inputs == (
        Port("x", source.inputs[0].shape, torch.float32, (True, False, False, False), ("n", "", "", "")),
    )
    weights = {placed.name: placed.paths for placed in source.placed}
    assert weights["conv.weight"] == ("conv.weight",)
    assert source_of(nn.ReLU()) is None
    other = replace(source, outputs=("z",))
    keep_source_(network, other)
    assert source_of(network) is other


def test_another_batch_is_taken_where_the_file_leaves_it_open(tmp_path):
    source = source_of(read(tmp_path / "net.onnx", classifier()))
    assert source.example(5).shape == (5, 3, 8, 8)
    assert torch.equal(source.example(5), source.example(5))
    fixed = source_of(read(tmp_path / "net.onnx", classifier(inputs={"x": [2, 3, 8, 8]})))
    assert fixed.example(5).shape == (2, 3, 8, 8)


def test_whole_numbers_and_several_inputs_are_a_tuple(tmp_path):
    source = source_of(read(tmp_path / "net.onnx", classifier()))
    ports = (Port("a", (2, 3), torch.float32, (True, False)), Port("b", (4,), torch.int64, (False,)))
    a, b = replace(source, inputs=ports).example(7)
    assert (a.shape, b.shape, b.dtype) == ((7, 3), (4,), torch.int64)
    assert set(b.tolist()) <= {0, 1}
