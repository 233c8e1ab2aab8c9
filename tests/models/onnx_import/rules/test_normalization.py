"""Normalisation without statistics of the file: as in ONNX Runtime."""

import pytest
from onnx_graphs import numbers
from operator_cases import case, check

SCALES = {"s": numbers(6), "b": numbers(6, seed=1)}
CASES = [
    case("InstanceNormalization", tensors=SCALES, epsilon=1e-3),
    case("LayerNormalization", inputs={"x": ["n", 5, 6]}, tensors=SCALES),
    case("LayerNormalization", inputs={"x": ["n", 5, 6]}, tensors={"s": numbers(5, 6)}, axis=1, name="two-dims"),
    case("RMSNormalization", inputs={"x": ["n", 5, 6]}, tensors={"s": numbers(6)}, epsilon=1e-3, opset=23),
    case("RMSNormalization", inputs={"x": ["n", 5, 6]}, tensors={"s": numbers(5, 6)}, axis=1, opset=23, name="two"),
    case("SimplifiedLayerNormalization", inputs={"x": ["n", 5, 6]}, tensors={"s": numbers(6)}),
    case("GroupNormalization", tensors=SCALES, num_groups=3, opset=21),
    case("LRN", size=3, alpha=0.01, beta=0.6, bias=2.0),
    case("MeanVarianceNormalization"),
    case("MeanVarianceNormalization", axes=[2, 3], name="image"),
    *(case("LpNormalization", p=order, axis=axis, name=f"{order}-{axis}") for order in (1, 2) for axis in (-1, 1)),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)
