"""What moves numbers from place to place: as in ONNX Runtime."""

import pytest
from operator_cases import IMAGE, case, check, ints

CASES = [
    case("Concat", inputs={"x": IMAGE, "z": IMAGE}, axis=1),
    case("Split", tensors={"sizes": ints(2, 4)}, axis=1, outputs=2),
    case("Split", split=[3, 3], axis=1, outputs=2, opset=11, name="equal"),
    case("Split", axis=3, outputs=4, num_outputs=4, opset=18, name="uneven"),
    case("Slice", tensors={"b": ints(1, 0), "e": ints(2**62, -1), "a": ints(1, 3), "s": ints(2, 1)}),
    case("Slice", starts=[1], ends=[5], axes=[1], opset=9),
    case("Slice", tensors={"b": ints(-1), "e": ints(-(2**62)), "a": ints(2), "s": ints(-1)}, name="turned"),
    case("Slice", tensors={"b": ints(-2), "e": ints(-100), "a": ints(3), "s": ints(-2)}, name="backwards"),
    case("Transpose", perm=[0, 2, 3, 1]),
    case("Tile", tensors={"r": ints(1, 2, 1, 1)}),
    case("DepthToSpace", inputs={"x": ["n", 8, 3, 4]}, blocksize=2),
    case("DepthToSpace", inputs={"x": ["n", 8, 3, 4]}, blocksize=2, mode="CRD", name="crd"),
    case("SpaceToDepth", blocksize=2),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)
