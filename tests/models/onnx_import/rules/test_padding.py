"""Padding, explicit and as an attribute asks: as in ONNX Runtime."""

import pytest
import torch
from operator_cases import case, check, conv

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator
from netslim.models.onnx_import.rules.padding import pads_of, split_pads
from netslim.models.onnx_import.values import Constant

CASES = [
    case("Conv", tensors=conv(4, 6, 3, 2), pads=[0, 1, 2, 1], name="uneven"),
    case("Conv", tensors=conv(4, 6, 3, 3), auto_pad="SAME_UPPER", strides=[2, 3], name="same-upper"),
    case("Conv", tensors=conv(4, 6, 2, 2), auto_pad="SAME_LOWER", name="same-lower"),
    case("Conv", tensors=conv(4, 6, 3, 3), auto_pad="VALID", name="valid"),
    case("MaxPool", kernel_shape=[3, 2], pads=[0, 1, 1, 0], name="uneven"),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", name="same"),
    case("AveragePool", kernel_shape=[3, 2], pads=[0, 1, 1, 0], name="uneven"),
    case("AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", name="same"),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)


def node(**attributes):
    return Operator(kind="Conv", index=0, name="c", opset=17, inputs=[], attributes=attributes)


@pytest.mark.parametrize(
    ("attributes", "pads"),
    [
        ({}, [0, 0, 0, 0]),
        ({"pads": [1, 2, 3, 4]}, [1, 2, 3, 4]),
        ({"auto_pad": "VALID", "pads": [1, 2, 3, 4]}, [0, 0, 0, 0]),
        ({"auto_pad": "SAME_UPPER"}, [0, 1, 1, 1]),  # four windows each: 3 * 2 + 3 - 8 = 1, 3 * 3 + 3 - 10 = 2
        ({"auto_pad": "SAME_LOWER"}, [1, 1, 0, 1]),
    ],
)
def test_windows_are_padded_as_an_attribute_asks(attributes, pads):
    assert pads_of(node(**attributes), (8, 10), (3, 3), (2, 3), (1, 1)) == pads


def test_a_dilated_window_needs_more():
    assert pads_of(node(auto_pad="SAME_UPPER"), (8,), (3,), (1,), (2,)) == [2, 2]


def test_what_a_layer_can_not_pad_by_itself_is_put_around_its_input():
    given = Constant(torch.ones(1, 1, 1, 2))
    assert split_pads(Builder(), given, [1, 2, 1, 2], 0.0) == (given, [1, 2])
    around, left = split_pads(Builder(), given, [0, 1, 1, 0], 7.0)
    assert left == [0, 0]
    assert around.tensor.tolist() == [[[[7, 1, 1], [7, 7, 7]]]]
