"""Files of several kinds and ages, and what is refused."""

import numpy as np
import pytest
import torch
from onnx import helper
from onnx_graphs import WEIGHTS, classifier, difference, made, read, written

import netslim
from netslim.core.errors import CheckpointError, UsageError


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21])
def test_operator_sets_of_all_ages_are_read(opset, tmp_path):
    network = read(tmp_path / "net.onnx", classifier(opset=opset, ir_version=10))
    assert difference(tmp_path / "net.onnx", network) < 1e-5
    assert [name for name, _ in network.named_parameters()] == ["conv.weight", "conv.bias", "fc.weight", "fc.bias"]


def test_weights_may_be_inputs_as_in_old_files(tmp_path):
    shapes = {name: list(array.shape) for name, array in WEIGHTS.items()}
    model = classifier(inputs={"x": ["n", 3, 8, 8], **shapes}, ir_version=3, opset=8)
    assert difference(tmp_path / "net.onnx", read(tmp_path / "net.onnx", model)) < 1e-5


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x08" + bytes(50)])
def test_what_is_no_onnx_file_is_one_line(content, tmp_path):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"net\.onnx is (damaged or )?no ONNX file"):
        netslim.load(tmp_path / "net.onnx")


def test_any_cut_file_is_one_line(tmp_path):
    whole = classifier().SerializeToString()
    for size in range(1, len(whole), 37):
        (tmp_path / "net.onnx").write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            netslim.load(tmp_path / "net.onnx")


def test_a_file_that_was_written_twice_into_one_is_damaged(tmp_path):
    """Two of a kind of message in a row are one for protobuf."""
    (tmp_path / "net.onnx").write_bytes(classifier().SerializeToString() * 2)
    with pytest.raises(CheckpointError, match=r"net\.onnx is damaged: two of its values are called 'x'$"):
        netslim.load(tmp_path / "net.onnx")


def test_all_unknown_operators_are_listed(tmp_path):
    nodes = [
        helper.make_node("Det", ["x"], ["a"]),
        helper.make_node("Fancy", ["a"], ["b"], domain="com.mine"),
        helper.make_node("Det", ["b"], ["y"]),
    ]
    with pytest.raises(CheckpointError, match=r"operators that are not known: Det \(2\), com\.mine:Fancy \(1\)$"):
        read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3]}, ["y"], {}))


def test_quantized_files_are_refused(tmp_path):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    model = made(nodes, {"x": ["n", 3]}, ["y"], {"s": np.float32(0.1)})
    with pytest.raises(CheckpointError, match=r"is quantized \(DequantizeLinear, QuantizeLinear\): prune the float"):
        read(tmp_path / "net.onnx", model)


def test_open_sides_are_tried_or_given(tmp_path):
    nodes = [
        helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[48, 1]),
        helper.make_node("Squeeze", ["p", "two"], ["y"]),
    ]
    model = made(nodes, {"x": ["n", 3, "h", "w"]}, ["y"], {"two": np.array([2])})
    assert read(tmp_path / "net.onnx", model)(torch.zeros(1, 3, 48, 9)).shape == (1, 3, 9)
    network = netslim.load(tmp_path / "net.onnx", input_shape=(1, 3, 48, 20))
    assert network(torch.zeros(1, 3, 48, 9)).shape == (1, 3, 9)
    with pytest.raises(
        CheckpointError, match=r"at an input of 1x3x50x20: .*squeezes a dimension .* give `input_shape`"
    ):
        netslim.load(tmp_path / "net.onnx", input_shape=(1, 3, 50, 20))
    with pytest.raises(UsageError, match=r"`input_shape=\[1, 4, 48, 20\]`: input 'x' is \?x3x\?x\? \(\? is free\)"):
        netslim.load(tmp_path / "net.onnx", input_shape=(1, 4, 48, 20))


def test_loading_says_what_makes_no_sense(tmp_path):
    path = written(tmp_path / "net.onnx", classifier())
    with pytest.raises(UsageError, match="leave `model` out"):
        netslim.load(path, torch.nn.ReLU())
    with pytest.raises(UsageError, match="is of ONNX files"):
        netslim.load(tmp_path / "net.pth.tar", input_shape=(1, 3, 8, 8))


def test_functions_of_the_file_are_inlined(tmp_path):
    body = [helper.make_node("Sigmoid", ["a"], ["s"]), helper.make_node("Mul", ["a", "s"], ["b"])]
    model = made([helper.make_node("Silu", ["x"], ["y"], domain="mine")], {"x": ["n", 3]}, ["y"], {})
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.functions.append(helper.make_function("mine", "Silu", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    assert difference(tmp_path / "net.onnx", read(tmp_path / "net.onnx", model)) < 1e-5
