"""Numbers picked from places, or put there: as in ONNX Runtime."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_graphs import groups_of, made, numbers, read
from operator_cases import IMAGE, case, check, f32, ints

from netslim.core.errors import CheckpointError

ROWS = {"x": [2, 6, 8]}
PLACES = ints(3, -1, 0, 5).reshape(2, 2)


def computed(*nodes, shape=None, **tensors):
    """The nodes, of `x` and of places `i` that are computed of it."""
    places = [
        helper.make_node("ArgMax", ["x"], ["most"], axis=2),
        helper.make_node("Cast", ["most"], ["i"], to=TensorProto.INT64),
    ]
    model = made([*places, *nodes], {"x": shape or ["n", 6, 8]}, ["y"], tensors)
    return pytest.param(model, id=f"{nodes[0].op_type}-computed-{len(nodes)}")


node = helper.make_node
UPDATES = {"axis": numbers(2, 2, 8), "rows": numbers(2, 8, seed=3)}
STRIDED = [  # as exporters write `as_strided`: places that are computed of the batch
    node("Reshape", ["x", "rest"], ["flat"]),
    node("Shape", ["x"], ["s"]),
    node("Gather", ["s", "zero"], ["n"]),
    node("Range", ["zero", "n", "one"], ["images"]),
    node("Mul", ["images", "width"], ["begins"]),
    node("Unsqueeze", ["begins", "rest"], ["column"]),
    node("Add", ["column", "row"], ["places"]),
    node("Gather", ["flat", "places"], ["y"]),
]
NO_PLACE = [
    node("Mul", ["x", "five"], ["m"]),
    node("Cast", ["m"], ["c"], to=TensorProto.INT64),
    node("OneHot", ["c", "d", "v"], ["y"]),
]
CASES = [
    case("Gather", tensors={"i": ints(0, -1, 2)}, axis=1),
    case("Gather", tensors={"i": np.array(2)}, axis=1, name="one"),
    case("Gather", tensors={"i": ints(0, 1, 2, -3).reshape(2, 2)}, axis=3, name="table"),
    computed(node("Gather", ["table", "i"], ["y"]), table=numbers(8, 3)),
    computed(node("Gather", ["table", "i"], ["a"]), node("Neg", ["a"], ["y"]), table=numbers(8)),
    computed(node("Squeeze", ["i", "two"], ["p"]), node("Gather", ["x", "p"], ["y"], axis=2), two=ints(2)),
    computed(
        node("Reshape", ["i", "none"], ["p"]),
        node("Gather", ["x", "p"], ["y"], axis=2),
        shape=[1, 1, 8],
        none=np.array([], dtype=np.int64),
    ),
    pytest.param(
        made(
            STRIDED,
            {"x": ["n", 6, 8]},
            ["y"],
            {
                "zero": np.array(0),
                "one": np.array(1),
                "first": ints(0),
                "rest": ints(-1),
                "width": np.array(48),
                "row": ints(0, 7, -1),
            },
        ),
        id="Gather-strided",
    ),
    case("Gather", tensors={"i": np.array(-1)}, axis=2, name="last"),
    case("GatherND", tensors={"i": ints(0, 1, 1, 3, 0, -1).reshape(3, 2)}, inputs=ROWS),
    case("GatherND", tensors={"i": ints(3, -2).reshape(2, 1)}, inputs=ROWS, batch_dims=1, name="batch"),
    case("GatherND", tensors={"i": PLACES.reshape(2, 2, 1)}, inputs={"x": [2, 2, 8]}, batch_dims=2, name="batches"),
    computed(
        node("Squeeze", ["i", "two"], ["p"]),
        node("Unsqueeze", ["p", "two"], ["q"]),
        node("GatherND", ["x", "q"], ["y"], batch_dims=1),
        two=ints(2),
        shape=["n", 8, 8],
    ),
    case("GatherElements", tensors={"i": PLACES.reshape(1, 2, 2).repeat(2, 0)}, inputs=ROWS, axis=1),
    computed(node("GatherElements", ["x", "i"], ["y"], axis=2)),
    *(
        case(
            "ScatterElements",
            tensors={"i": ints(1, -2).reshape(1, 2, 1).repeat(8, 2).repeat(2, 0), "u": UPDATES["axis"]},
            inputs=ROWS,
            axis=1,
            opset=18,
            reduction=kind,
            name=kind,
        )
        for kind in ("none", "add", "mul", "max", "min")
    ),
    case("Scatter", tensors={"i": ints(0, 1).reshape(1, 2), "u": numbers(1, 2)}, inputs={"x": [2, 6]}, opset=10),
    *(
        case(
            "ScatterND",
            tensors={"i": ints(0, 1, 1, -1).reshape(2, 2), "u": UPDATES["rows"]},
            inputs=ROWS,
            reduction=kind,
            opset=16,
            name=kind,
        )
        for kind in ("none", "add")
    ),
    case("Compress", tensors={"m": np.array([True, False, False, True])}, axis=1),
    case("Compress", tensors={"m": np.array([True, False, False, True])}, inputs=ROWS, name="flat"),
    computed(node("OneHot", ["i", "d", "v"], ["y"]), d=ints(8), v=f32(-1, 2)),
    computed(node("OneHot", ["i", "d", "v"], ["a"], axis=1), node("Neg", ["a"], ["y"]), d=ints(8), v=f32(0, 1)),
    pytest.param(
        made(NO_PLACE, {"x": ["n", 6, 8]}, ["y"], {"five": f32(5), "d": ints(3), "v": f32(0, 1)}), id="OneHot"
    ),
    *(case("Trilu", upper=upper, name=str(upper)) for upper in (0, 1)),
    case("Trilu", tensors={"k": np.array(-2)}, upper=1, name="shifted"),
    case("EyeLike", inputs={"x": [4, 6]}),
    case("EyeLike", inputs={"x": [4, 6]}, dtype=TensorProto.INT64, name="whole"),
    case("ReverseSequence", tensors={"l": ints(*[8] * 6)}, inputs={"x": [6, 8, 3]}, time_axis=1, batch_axis=0),
    *(
        case(
            "CumSum",
            tensors={"axis": np.array(1, dtype=np.int32)},
            exclusive=exclusive,
            reverse=reverse,
            name=f"{exclusive}{reverse}",
        )
        for exclusive in (0, 1)
        for reverse in (0, 1)
    ),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (
            case(
                "ScatterND",
                tensors={"i": ints(0).reshape(1, 1), "u": numbers(1, 8)},
                inputs={"x": [6, 8]},
                reduction="mul",
                opset=16,
            ),
            "has reduction mul",
        ),
        (case("ReverseSequence", tensors={"l": ints(3, 2)}, inputs={"x": [4, 2]}), "turns a part of a sequence"),
        (case("EyeLike", inputs={"x": [4, 6]}, k=1), "has another diagonal"),
    ],
)
def test_what_is_not_followed_is_refused(model, why, tmp_path):
    with pytest.raises(CheckpointError, match=why):
        check(model.values[0], tmp_path)


@pytest.mark.parametrize(("axis", "groups"), [(1, 0), (2, 1)])
def test_channels_that_are_picked_by_number_stay_and_others_go(axis, groups, tmp_path):
    nodes = [
        node("Conv", ["x", "v"], ["c"]),
        node("Gather", ["c", "i"], ["g"], axis=axis),
        node("Conv", ["g", "w"], ["y"]),
    ]
    tensors = {"v": numbers(8, 6, 1, 1), "i": ints(*range(8)), "w": numbers(5, 8, 1, 1)}
    assert len(groups_of(read(tmp_path / "net.onnx", made(nodes, {"x": IMAGE}, ["y"], tensors)))) == groups
