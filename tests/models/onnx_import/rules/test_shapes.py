"""Shapes: asked for, computed with, and given: as in ONNX Runtime."""

import pytest
from onnx import TensorProto
from operator_cases import case, chain, check, ints

CASES = [
    case("Squeeze", inputs={"x": ["n", 6, 1, 1]}, tensors={"a": ints(2, 3)}),
    case("Squeeze", inputs={"x": ["n", 6, 1, 1]}, axes=[3], opset=11),
    case("Unsqueeze", tensors={"a": ints(0, -1)}),
    case("Unsqueeze", axes=[2], opset=11),
    case("Flatten"),
    case("Flatten", axis=0, name="all"),
    case("Reshape", tensors={"s": ints(0, -1)}),
    case("Reshape", tensors={"s": ints(-1, 480)}, name="number"),
    case("Reshape", tensors={"s": ints(0, 2, 3, 8, 10)}, name="groups"),
    case("Reshape", tensors={"s": ints(0, 6, 80)}, name="tokens"),
    case("Expand", inputs={"x": ["n", 6, 1, 1]}, tensors={"s": ints(1, 6, 4, 5)}),
    case("Cast", to=TensorProto.INT32),
    chain("view of sizes", "Shape x > s; Gather s first > n; Concat n rest > to axis=0; Reshape x to > y"),
    chain("zeros of sizes", "Shape x > s; ConstantOfShape s > z; Add x z > y"),
    chain("size", "Size first > n; Cast n > f to=1; Mul x f > y"),
    chain("size of an input", "Size x > n; Cast n > f to=1; Mul x f > y"),
    chain("size of a shape", "Shape x > s; Size s > n; Cast n > f to=1; Mul x f > y"),
    chain(
        "range",
        "Constant > b value_int=0; Constant > e value_int=10; Constant > d value_int=1; Range b e d > r; "
        "Cast r > f to=1; Mul x f > y",
    ),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)
