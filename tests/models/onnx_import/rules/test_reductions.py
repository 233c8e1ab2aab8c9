"""What makes one number of many: as in ONNX Runtime."""

import pytest
from onnx import helper
from onnx_graphs import made
from operator_cases import IMAGE, TENSORS, case, chain, check, ints

AS_MANY = [
    helper.make_node("Shape", ["x"], ["s"]),
    helper.make_node("Slice", ["s", "two", "four"], ["sides"]),
    helper.make_node("Slice", ["sides", "first", "second"], ["height"]),
    helper.make_node("Min", ["height", "four"], ["k"]),
    helper.make_node("TopK", ["x", "k"], ["y", "at"]),
]
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
    chain("logarithm of a sum", "Abs x > a; ReduceLogSum a > y"),
    chain("the last of several", "Sign x > s; ArgMax s > y axis=1 select_last_index=1"),
    case("TopK", tensors={"k": ints(2)}, outputs=2, axis=1, largest=0, name="smallest"),
    pytest.param(made(AS_MANY, {"x": IMAGE}, ["y", "at"], TENSORS), id="as many as there are"),
    *(
        chain(
            f"{kind} of sizes",
            f"Shape x > s; Slice s second four > e; {kind} e > m keepdims=0; Cast m > f to=1; Mul x f > y",
        )
        for kind in ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd")
    ),
    case("TopK", tensors={"k": ints(3)}, outputs=2),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)
