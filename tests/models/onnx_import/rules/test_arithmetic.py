"""Operations of two or more tensors: as in ONNX Runtime."""

import numpy as np
import pytest
import torch
from onnx import helper
from onnx_graphs import difference, groups_of, made, numbers, read
from operator_cases import IMAGE, case, chain, check, f32

import netslim

CASES = [
    *(
        case(kind, inputs={"x": IMAGE, "z": IMAGE}, name="two")
        for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum")
    ),
    *(case(kind, tensors={"c": numbers(1, 6, 1, 1)}, name="channels") for kind in ("Add", "Sub", "Mul", "Div")),
    *(case(kind, tensors={"c": f32(3)}, name="number") for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min")),
    case("Max", order=["c", "x"], tensors={"c": f32(-0.4).reshape(1, 1, 1, 1)}, name="number-first"),
    case("Pow", tensors={"c": f32(2.0).reshape(())}),
    case("Sub", order=["c", "x"], tensors={"c": f32(1)}, name="from"),
    case("Div", order=["c", "x"], tensors={"c": f32(1)}, name="of"),
    case("Mod", tensors={"c": f32(0.7)}, fmod=1),
    case("Einsum", inputs={"x": ["n", 5, 6], "z": ["n", 4, 6]}, equation="nij, nkj -> nik"),
    case("Einsum", tensors={"w": numbers(6, 3)}, equation="...chw,cd->...dhw", name="channels"),
    chain(
        "extremes of sizes",
        "Shape x > s; Slice s first two > nc; Max nc four > a; Min a four > b; Expand zero b > z; Size z > n; "
        "Cast n > f to=1; Mul x f > y",
    ),
    case("Greater", tensors={"c": f32(0.1)}),
    case("LessOrEqual", tensors={"c": f32(0.1)}),
    *(case(kind) for kind in ("Floor", "Ceil")),
    chain("logic", "Greater x zero > a; Less x one > b; And a b > c; Not c > d; Where d x zero > y"),
    chain("or", "Greater x one > a; Less x zero > b; Or a b > c; Xor c b > d; Cast d > y to=1"),
    chain("equal", "Cast x > i to=7; Cast one > k to=7; Equal i k > e; Cast e > y to=1"),
    chain("whole division", "Cast x > i to=7; Constant > k value_int=3; Div i k > q; CastLike q x > y"),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)


def test_a_batch_in_the_second_dimension_is_no_channel(tmp_path):
    nodes = [
        helper.make_node("Unsqueeze", ["x", "zero"], ["u"]),
        helper.make_node("Add", ["u", "shift"], ["a"]),
        helper.make_node("Squeeze", ["a", "zero"], ["y"]),
    ]
    tensors = {"zero": np.array([0]), "shift": np.array([0.5], dtype=np.float32)}
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3, 4, 5]}, ["y"], tensors))
    assert difference(tmp_path / "net.onnx", network) < 1e-6


def test_a_number_that_is_added_to_images_is_one_per_channel_so_that_channels_can_go(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Mul", ["c", "scale"], ["m"]),
        helper.make_node("Add", ["m", "shift"], ["a"]),
        helper.make_node("Conv", ["a", "v"], ["y"]),
    ]
    tensors = {
        **{"w": numbers(8, 3, 3, 3), "v": numbers(2, 8, 3, 3)},
        **{name: np.array([0.5], dtype=np.float32) for name in ("scale", "shift")},
    }
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3, 9, 9]}, ["y"], tensors))
    assert network.get_parameter("shift").shape == (8, 1, 1)
    assert netslim.plan(network, torch.zeros(2, 3, 9, 9), percent=0.4, criterion="l2_norm").kept == 4


@pytest.mark.parametrize("kind", ["Max", "Min"])
def test_a_bound_of_one_number_lets_channels_go(kind, tmp_path):
    nodes = [helper.make_node("Conv", ["x", "v"], ["c"]), helper.make_node(kind, ["c", "bound"], ["m"])]
    nodes.append(helper.make_node("Conv", ["m", "w"], ["y"]))
    bound = f32(-0.4 if kind == "Max" else 0.4).reshape(1, 1, 1, 1)
    tensors = {"v": numbers(8, 6, 1, 1), "bound": bound, "w": numbers(5, 8, 1, 1)}
    assert len(groups_of(read(tmp_path / "net.onnx", made(nodes, {"x": IMAGE}, ["y"], tensors)))) == 1
