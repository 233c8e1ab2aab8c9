"""Files of several kinds and ages, and what is refused."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx.external_data_helper import convert_model_to_external_data
from onnx_graphs import HALF, difference, made, numbers, read, written

import netslim
from netslim.core.errors import CheckpointError, UsageError
from netslim.models.onnx_import import load_onnx

WEIGHTS = {
    "conv.weight": numbers(4, 3, 3, 3),
    "conv.bias": numbers(4),
    "fc.weight": numbers(5, 4),
    "fc.bias": numbers(5),
}


def classifier(**settings):
    """Convolution, ReLU, pooling, linear layer."""
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    inputs = settings.pop("inputs", {"x": ["n", 3, 8, 8]})
    return made(nodes, inputs, settings.pop("outputs", ["y"]), settings.pop("tensors", WEIGHTS), **settings)


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21])
def test_operator_sets_of_all_ages_are_read(opset, tmp_path):
    network = read(tmp_path / "net.onnx", classifier(opset=opset, ir_version=10))
    assert difference(tmp_path / "net.onnx", network) < 1e-5
    assert [name for name, _ in network.named_parameters()] == ["conv.weight", "conv.bias", "fc.weight", "fc.bias"]


def test_weights_may_be_inputs_as_in_old_files(tmp_path):
    shapes = {name: list(array.shape) for name, array in WEIGHTS.items()}
    model = classifier(inputs={"x": ["n", 3, 8, 8], **shapes}, ir_version=3, opset=8)
    assert difference(tmp_path / "net.onnx", read(tmp_path / "net.onnx", model)) < 1e-5


def test_half_precision_is_computed_in_single(tmp_path):
    tensors = {name: array.astype(np.float16) for name, array in WEIGHTS.items()}
    network = read(tmp_path / "net.onnx", classifier(tensors=tensors, kind=HALF))
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert difference(tmp_path / "net.onnx", network) < 1e-2


def test_several_outputs_are_a_tuple(tmp_path):
    network = read(tmp_path / "net.onnx", classifier(outputs=["y", "p"]))
    assert [tuple(each.shape) for each in network(torch.zeros(2, 3, 8, 8))] == [(2, 5), (2, 4, 1, 1)]
    assert difference(tmp_path / "net.onnx", network) < 1e-5


def test_weights_beside_the_file_are_read(tmp_path):
    model = classifier()
    convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, tmp_path / "net.onnx")
    assert difference(tmp_path / "net.onnx", load_onnx(tmp_path / "net.onnx")) < 1e-5


@pytest.mark.parametrize("place", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "C:\\secret.bin", ""])
def test_weights_elsewhere_are_refused(place, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(432))
    model = classifier()
    external(model.graph.initializer[0], place)
    with pytest.raises(CheckpointError, match=r"tensor 'conv\.weight' is in '.*', which is not beside the model"):
        read(tmp_path / "inner" / "net.onnx", model)


def test_a_link_to_weights_elsewhere_is_refused(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(432))
    (tmp_path / "inner" / "w.bin").symlink_to(tmp_path / "secret.bin")
    model = classifier()
    external(model.graph.initializer[0], "w.bin")
    with pytest.raises(CheckpointError, match="leads out of the model's folder"):
        read(tmp_path / "inner" / "net.onnx", model)


def test_weights_that_are_too_short_are_refused(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(100))
    model = classifier()
    external(model.graph.initializer[0], "w.bin")
    with pytest.raises(CheckpointError, match=r"does not have the 432 bytes of tensor 'conv\.weight' at 0"):
        read(tmp_path / "net.onnx", model)


def external(tensor, place):
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place


def test_a_tensor_that_claims_too_much_is_refused(tmp_path):
    model = classifier()
    model.graph.initializer[0].dims[:] = [2**20, 2**20]
    with pytest.raises(CheckpointError, match=r"says that it has 1,099,511,627,776 numbers \(at most 536,870,912"):
        read(tmp_path / "net.onnx", model)


def test_a_tensor_of_other_bytes_than_it_says_is_refused(tmp_path):
    model = classifier()
    model.graph.initializer[0].dims[:] = [4, 3, 3, 4]
    with pytest.raises(CheckpointError, match=r"tensor 'conv\.weight' has 432 bytes, not those of 144 numbers"):
        read(tmp_path / "net.onnx", model)


def test_a_constant_that_would_fill_the_memory_is_refused(tmp_path):
    nodes = [helper.make_node("ConstantOfShape", ["s"], ["z"]), helper.make_node("Add", ["x", "z"], ["y"])]
    model = made(nodes, {"x": ["n", 3]}, ["y"], {"s": np.array([2**40, 2**20])})
    with pytest.raises(CheckpointError, match="full would make a tensor of 1099511627776x1048576 numbers"):
        read(tmp_path / "net.onnx", model)


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


def test_all_unknown_operators_are_listed(tmp_path):
    nodes = [
        helper.make_node("NonZero", ["x"], ["a"]),
        helper.make_node("Fancy", ["a"], ["b"], domain="com.mine"),
        helper.make_node("NonZero", ["b"], ["y"]),
    ]
    with pytest.raises(CheckpointError, match=r"operators that are not known: NonZero \(2\), com\.mine:Fancy \(1\)$"):
        read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3]}, ["y"], {}))


def test_quantized_files_are_refused(tmp_path):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    model = made(nodes, {"x": ["n", 3]}, ["y"], {"s": np.float32(0.1)})
    with pytest.raises(CheckpointError, match=r"is quantized \(DequantizeLinear, QuantizeLinear\): prune the float"):
        read(tmp_path / "net.onnx", model)


def test_a_node_that_takes_what_is_not_there_is_named(tmp_path):
    model = made([helper.make_node("Relu", ["z"], ["y"], name="act")], {"x": ["n", 3]}, ["y"], {})
    with pytest.raises(CheckpointError, match=r"node 'act' \(Relu\) takes 'z', which nothing before it gives"):
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


def test_a_batch_in_the_second_dimension_is_no_channel(tmp_path):
    nodes = [
        helper.make_node("Unsqueeze", ["x", "zero"], ["u"]),
        helper.make_node("Add", ["u", "shift"], ["a"]),
        helper.make_node("Squeeze", ["a", "zero"], ["y"]),
    ]
    tensors = {"zero": np.array([0]), "shift": np.array([0.5], dtype=np.float32)}
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3, 4, 5]}, ["y"], tensors))
    assert difference(tmp_path / "net.onnx", network) < 1e-6


def test_functions_of_the_file_are_inlined(tmp_path):
    body = [helper.make_node("Sigmoid", ["a"], ["s"]), helper.make_node("Mul", ["a", "s"], ["b"])]
    model = made([helper.make_node("Silu", ["x"], ["y"], domain="mine")], {"x": ["n", 3]}, ["y"], {})
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.functions.append(helper.make_function("mine", "Silu", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    assert difference(tmp_path / "net.onnx", read(tmp_path / "net.onnx", model)) < 1e-5


def test_a_number_that_is_added_to_images_is_one_per_channel_so_that_channels_can_go(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Mul", ["c", "scale"], ["m"]),
        helper.make_node("Add", ["m", "shift"], ["a"]),
        helper.make_node("Conv", ["a", "v"], ["y"]),
    ]
    tensors = {
        **{"w": numbers(8, 3, 3, 3), "v": numbers(2, 8, 3, 3)},
        **{name: np.array([0.5], dtype=np.float32) for name in ("scale", "shift")},
    }
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3, 9, 9]}, ["y"], tensors))
    assert network.get_parameter("shift").shape == (8, 1, 1)
    assert netslim.plan(network, torch.zeros(2, 3, 9, 9), percent=0.4, criterion="l2_norm").kept == 4
