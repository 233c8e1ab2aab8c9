"""Layers with weights: as in ONNX Runtime."""

import numpy as np
import pytest
from onnx import helper
from onnx_graphs import made, numbers, read
from operator_cases import case, check, conv

from netslim.models.onnx_import import source_of

CASES = [
    case("Conv", tensors=conv(4, 6, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2]),
    case("Conv", tensors=conv(4, 3, 3, 3, bias=False), group=2, dilations=[2, 1], name="grouped"),
    case("Conv", inputs={"x": ["n", 6, 9]}, tensors=conv(4, 6, 3), pads=[1, 1], name="1d"),
    case("Conv", inputs={"x": ["n", 2, 5, 6, 7]}, tensors=conv(4, 2, 3, 3, 3), name="3d"),
    case("ConvTranspose", tensors={"w": numbers(6, 4, 3, 3), "b": numbers(4)}, strides=[2, 2], pads=[1, 1, 1, 1]),
    case(
        "ConvTranspose",
        tensors={"w": numbers(6, 2, 3, 3)},
        strides=[2, 2],
        group=2,
        output_padding=[1, 1],
        name="grouped",
    ),
    case("ConvTranspose", tensors={"w": numbers(6, 4, 3, 3)}, strides=[2, 2], pads=[0, 1, 1, 1], name="uneven"),
    *(
        case("ConvTranspose", tensors={"w": numbers(6, 4, 3, 4)}, strides=[2, 2], auto_pad=kind, name=kind)
        for kind in ("SAME_UPPER", "SAME_LOWER", "VALID")
    ),
    case("ConvTranspose", tensors={"w": numbers(6, 4, 3, 4)}, strides=[2, 3], output_shape=[16, 30], name="shape"),
    case("Gemm", inputs={"x": ["n", 6]}, tensors={"w": numbers(4, 6), "b": numbers(4)}, transB=1),
    case("Gemm", inputs={"x": ["n", 6]}, tensors={"w": numbers(6, 4), "b": numbers(1, 4)}, name="row"),
    case(
        "Gemm",
        inputs={"x": ["n", 6]},
        tensors={"w": numbers(4, 6), "b": numbers(4)},
        transB=1,
        alpha=0.5,
        beta=2.0,
        name="scaled",
    ),
    *(
        case("Gemm", inputs={"x": ["n", 6]}, tensors={"w": numbers(6, 4), "b": bias}, alpha=0.5, beta=beta, name=name)
        for name, bias, beta in (("alike", numbers(4), 0.5), ("without", numbers(4), 0.0), ("one", numbers(1), 2.0))
    ),
    case("Gemm", inputs={"x": [6, 2]}, tensors={"w": numbers(6, 4)}, transA=1, name="turned"),
    case("MatMul", inputs={"x": ["n", 5, 6]}, tensors={"w": numbers(6, 4)}),
    case("MatMul", inputs={"x": ["n", 5, 6], "z": ["n", 6, 4]}, name="two"),
    case(
        "BatchNormalization",
        tensors={"s": numbers(6), "b": numbers(6, seed=1), "m": numbers(6, seed=2), "v": np.abs(numbers(6)) + 0.1},
    ),
    case("PRelu", tensors={"slope": numbers(6, 1, 1)}),
    case("PRelu", tensors={"slope": numbers(1)}, name="one"),
    case("PRelu", tensors={"slope": numbers(6, 8, 10)}, name="per-pixel"),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)


def test_weights_of_a_scaled_layer_are_those_of_the_file(tmp_path):
    nodes = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1, alpha=0.5, beta=2.0)
    network = read(tmp_path / "net.onnx", made([nodes], {"x": ["n", 6]}, ["y"], {"w": numbers(4, 6), "b": numbers(4)}))
    assert {name: tuple(own.shape) for name, own in network.named_parameters()} == {"w.weight": (4, 6), "b": (4,)}
    source = source_of(network)
    assert {placed.name: placed.paths for placed in source.placed} == {"w": ("w.weight",), "b": ("b",)}
