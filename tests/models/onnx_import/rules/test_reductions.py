"""What makes one number of many: as in ONNX Runtime."""

import pytest
from operator_cases import case, check, ints

CASES = [
    *(case(kind, axes=[2, 3], keepdims=0) for kind in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2")),
    case("ReduceSum", tensors={"axes": ints(1, -1)}),
    case("ReduceMean", tensors={"axes": ints(2, 3)}, opset=18),
    case("ReduceSumSquare", axes=[1]),
    case("ReduceLogSumExp", axes=[1]),
    case("ReduceProd", axes=[1], keepdims=0),
    case("ReduceMean", name="all"),
    case("ArgMax", axis=1),
    case("ArgMin", axis=-1, keepdims=0),
    case("TopK", tensors={"k": ints(3)}, outputs=2),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)
