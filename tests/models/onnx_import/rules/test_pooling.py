"""Poolings over windows and over whole images: as in ONNX Runtime."""

import pytest
from operator_cases import case, check

CASES = [
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, name="ceil"),
    case("MaxPool", inputs={"x": ["n", 6, 9]}, kernel_shape=[3], dilations=[2], name="1d"),
    case("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1, name="counted"),
    case("LpPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], p=3),
    case("GlobalLpPool", p=1),
    case("GlobalLpPool", name="two"),
    case("GlobalAveragePool"),
    case("GlobalMaxPool"),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)
