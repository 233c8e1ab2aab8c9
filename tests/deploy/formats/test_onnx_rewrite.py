"""ONNX files that are written again with smaller tensors."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import netslim
from netslim.deploy.formats.onnx_rewrite import rewritten
from netslim.deploy.onnx_parity import difference_from
from netslim.models.onnx_import import load_onnx, source_of

RANDOM = np.random.default_rng(0)


def weights(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def pruned(path, nodes, tensors, shape, *, share=0.5, kind=TensorProto.FLOAT, opset=17, out=None):
    """The network of a file, half of it, and the file that is written of that."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, out)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    )
    model.ir_version = 8
    helper.set_model_props(model, {"author": "someone", "netslim_sha256": "of another file"})
    onnx.save(model, path)
    network = load_onnx(path)
    source = source_of(network)
    example = source.example()
    small = netslim.apply(network, netslim.plan(network, example, target_macs=share, criterion="l2_norm"))
    return small, source, rewritten(small, source, {"netslim": "facts"})


def node(kind, given, out, **attributes):
    return helper.make_node(kind, given.split(), out.split(), **attributes)


SHAPED = {
    "flattened by numbers": [node("Reshape", "r flat", "f"), node("Gemm", "f fc", "y", transB=1)],
    "flattened by computed numbers": [
        node("Shape", "r", "s"),
        node("Gather", "s zero", "n"),
        node("Cast", "wide", "w64", to=7),
        node("Concat", "n w64", "both", axis=0),
        node("Cast", "both", "to", to=7),
        node("Reshape", "r to", "f"),
        node("Gemm", "f fc", "y", transB=1),
    ],
    "shuffled": [
        node("Reshape", "r groups", "g"),
        node("Transpose", "g", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t whole", "b"),
        node("Flatten", "b", "f"),
        node("Gemm", "f fc", "y", transB=1),
    ],
    "split": [
        node("Split", "r halves", "a b", axis=1),
        node("Mul", "a b", "m"),
        node("Concat", "m b", "both", axis=1),
        node("Flatten", "both", "f"),
        node("Gemm", "f fc", "y", transB=1),
    ],
    "resized": [
        node("Resize", "r sizes", "u", mode="nearest"),
        node("GlobalAveragePool", "u", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f small", "y", transB=1),
    ],
}


@pytest.mark.parametrize("name", SHAPED)
def test_shapes_that_are_numbers_follow_the_channels(name, tmp_path):
    nodes = [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "r"), *SHAPED[name]]
    if name == "resized":
        nodes[2].input[:] = ["r", "", "", "sizes"]
    tensors = {
        "w": weights(8, 3, 3, 3),
        "fc": weights(5, 128),
        "small": weights(5, 8),
        "flat": np.array([-1, 128]),
        "wide": np.array([128], dtype=np.int32),
        "zero": np.array([0]),
        "groups": np.array([0, 2, 4, 4, 4]),
        "whole": np.array([0, 8, 4, 4]),
        "halves": np.array([4, 4]),
        "sizes": np.array([2, 8, 8, 8]),
    }
    shape = [2 if name == "resized" else "n", 3, 4, 4]
    small, source, model = pruned(tmp_path / "net.onnx", nodes, tensors, shape)
    assert model.graph.initializer[0].dims[0] < 8
    assert difference_from(model.SerializeToString(), small, source) < 1e-5


def test_names_dimensions_metadata_and_operator_set_stay(tmp_path):
    nodes = [
        node("Conv", "x w b", "c"),
        node("Relu", "c", "r"),
        node("Conv", "r depth", "d", group=8),
        node("GlobalAveragePool", "d", "p"),
        node("Flatten", "p", "f"),
        node("MatMul", "f fc", "m"),
        node("Add", "m shift", "y"),
    ]
    tensors = {
        "w": weights(8, 3, 3, 3),
        "b": weights(8),
        "depth": weights(8, 1, 3, 3),
        "fc": weights(8, 5),
        "shift": weights(5),
    }
    small, source, model = pruned(tmp_path / "net.onnx", nodes, tensors, ["n", 3, 9, 9], opset=13, out=["n", 5])
    assert difference_from(model.SerializeToString(), small, source) < 1e-5
    assert [entry.name for entry in (*model.graph.input, *model.graph.output)] == ["x", "y"]
    assert [tensor.name for tensor in model.graph.initializer] == [*tensors]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    assert model.opset_import[0].version == 13
    assert {entry.key: entry.value for entry in model.metadata_props} == {"author": "someone", "netslim": "facts"}
    onnx.checker.check_model(model, full_check=True)


def test_the_file_that_was_read_is_not_changed(tmp_path):
    nodes = [node("Conv", "x w", "c"), node("Relu", "c", "r"), node("Conv", "r v", "y")]
    tensors = {"w": weights(8, 3, 3, 3), "v": weights(4, 8, 1, 1)}
    _, source, _ = pruned(tmp_path / "net.onnx", nodes, tensors, ["n", 3, 9, 9])
    assert [*source.proto.graph.initializer[0].dims] == [8, 3, 3, 3]


def test_half_precision_stays_half(tmp_path):
    nodes = [node("Conv", "x w", "c"), node("Relu", "c", "r"), node("Conv", "r v", "y")]
    tensors = {"w": weights(8, 3, 3, 3).astype(np.float16), "v": weights(4, 8, 1, 1).astype(np.float16)}
    small, source, model = pruned(tmp_path / "net.onnx", nodes, tensors, ["n", 3, 9, 9], kind=TensorProto.FLOAT16)
    assert {tensor.data_type for tensor in model.graph.initializer} == {TensorProto.FLOAT16}
    assert difference_from(model.SerializeToString(), small, source) < 1e-2


def test_biases_that_layers_get_are_written(tmp_path):
    nodes = [
        node("Conv", "x w", "c"),
        node("Relu", "c", "r"),
        node("Conv", "r v", "d"),
        node("GlobalAveragePool", "d", "p"),
        node("Flatten", "p", "f"),
        node("MatMul", "f fc", "y"),
    ]
    tensors = {"w": weights(8, 3, 3, 3), "v": weights(8, 8, 1, 1), "fc": weights(8, 5)}
    small, source, _ = pruned(tmp_path / "net.onnx", nodes, tensors, ["n", 3, 9, 9])
    small.get_submodule("v").bias = torch.nn.Parameter(torch.randn(small.get_submodule("v").out_channels))
    small.get_submodule("fc").bias = torch.nn.Parameter(torch.randn(5))
    model = rewritten(small, source, {})
    assert difference_from(model.SerializeToString(), small, source) < 1e-5


def test_a_bias_comes_before_what_is_added(tmp_path):
    fused = {"domain": "com.microsoft", "activation": "Relu"}
    nodes = [
        node("FusedConv", "x w", "c", **fused),
        helper.make_node("FusedConv", ["c", "v", "", "c"], ["d"], **fused),
        node("Conv", "d u", "y"),
    ]
    tensors = {"w": weights(8, 3, 3, 3), "v": weights(8, 8, 1, 1), "u": weights(5, 8, 1, 1)}
    small, source, _ = pruned(tmp_path / "net.onnx", nodes, tensors, ["n", 3, 9, 9])
    for name in ("w", "v"):
        layer = small.get_submodule(name)
        layer.bias = torch.nn.Parameter(torch.randn(layer.out_channels))
    model = rewritten(small, source, {})
    assert difference_from(model.SerializeToString(), small, source) < 1e-5


def test_what_the_file_computes_stays_computed_until_it_changes(tmp_path):
    nodes = [
        node("Mul", "basis half", "b"),
        node("Conv", "x b", "s"),
        node("Gather", "s order", "g", axis=1),  # its channels stay
        node("Mul", "w half", "v"),
        node("Conv", "g v", "c"),
        node("Relu", "c", "r"),
        node("Conv", "r u", "y"),
    ]
    tensors = {
        **{"basis": weights(4, 3, 1, 1), "half": np.float32(0.5), "order": np.arange(4)},
        **{"w": weights(8, 4, 3, 3), "u": weights(5, 8, 1, 1)},
    }
    small, source, model = pruned(tmp_path / "net.onnx", nodes, tensors, ["n", 3, 9, 9])
    assert difference_from(model.SerializeToString(), small, source) < 1e-5
    assert [each.output[0] for each in model.graph.node if each.op_type == "Mul"] == ["b"]
    assert "w" not in {tensor.name for tensor in model.graph.initializer}


def test_a_weight_that_layers_take_apart_is_written_once_where_it_stays_the_same(tmp_path):
    nodes = [
        *(node("Conv", "x basis", name, strides=[step, step]) for name, step in (("a", 1), ("b", 2))),
        *(node("GlobalAveragePool", name, f"{name}p") for name in "ab"),
        node("Concat", "ap bp", "j", axis=1),
        node("Gather", "j order", "g", axis=1),  # its channels stay
        node("Conv", "g w", "c"),
        node("Conv", "c u", "y"),
    ]
    tensors = {
        "basis": weights(4, 3, 3, 3),
        "order": np.arange(8),
        "w": weights(512, 8, 1, 1),
        "u": weights(5, 512, 1, 1),
    }
    small, source, model = pruned(tmp_path / "net.onnx", nodes, tensors, ["n", 3, 9, 9], share=0.8)
    assert difference_from(model.SerializeToString(), small, source) < 1e-5
    assert [each.name for each in model.graph.initializer if each.dims == [4, 3, 3, 3]] == ["basis"]


def test_a_weight_that_two_layers_take_apart_is_written_twice(tmp_path):
    nodes = [
        node("Conv", "x w", "a", strides=[1, 1]),
        node("Conv", "x w", "b", strides=[2, 2]),
        node("GlobalAveragePool", "a", "p"),
        node("GlobalAveragePool", "b", "q"),
        node("Concat", "p q", "c", axis=1),
        node("Flatten", "c", "f"),
        node("Gemm", "f fc", "y", transB=1),
    ]
    tensors = {"w": weights(8, 3, 3, 3), "fc": weights(5, 16)}
    small, source, model = pruned(tmp_path / "net.onnx", nodes, tensors, ["n", 3, 9, 9])
    assert difference_from(model.SerializeToString(), small, source) < 1e-5
