"""Padding of windows and of tensors: as in ONNX Runtime."""

import pytest
import torch
from onnx import helper
from onnx_graphs import groups_of, made, numbers, read
from operator_cases import IMAGE, TENSORS, case, check, conv, f32, ints, slowly

from netslim.core.errors import CheckpointError
from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator
from netslim.models.onnx_import.rules.padding import pads_of, split_pads
from netslim.models.onnx_import.values import Constant

WIDTHS = {  # of a tensor of up to five dimensions, by which axes get a border
    "last": {3: (2, 1)},
    "one side": {2: (0, 3)},
    "image": {2: (1, 2), 3: (3, 0)},
    "channels": {1: (2, 1), 3: (0, 1)},
    "all": {0: (1, 0), 1: (1, 1), 2: (0, 2), 3: (1, 0)},
}


def bordered(mode, widths, shape):
    pads = [widths.get(axis, (0, 0))[end] for end in (0, 1) for axis in range(len(shape))]
    name = f"{mode}-{'x'.join(map(str, shape))}-{pads}"
    opset = 19 if mode == "wrap" else 17
    return case("Pad", inputs={"x": shape}, tensors={"p": ints(*pads)}, mode=mode, opset=opset, name=name)


MODES = ("reflect", "edge", "wrap", "constant")
CASES = [
    case("Conv", tensors=conv(4, 6, 3, 2), pads=[0, 1, 2, 1], name="uneven"),
    case("Conv", tensors=conv(4, 6, 3, 3), auto_pad="SAME_UPPER", strides=[2, 3], name="same-upper"),
    case("Conv", tensors=conv(4, 6, 2, 2), auto_pad="SAME_LOWER", name="same-lower"),
    case("Conv", tensors=conv(4, 6, 3, 3), auto_pad="VALID", name="valid"),
    case("MaxPool", kernel_shape=[3, 2], pads=[0, 1, 1, 0], name="uneven"),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", name="same"),
    case("AveragePool", kernel_shape=[3, 2], pads=[0, 1, 1, 0], name="uneven"),
    case("AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", name="same"),
    case("Pad", tensors={"p": ints(0, 0, 1, 2, 0, 0, 0, 3), "v": f32(0.5).reshape(())}),
    case("Pad", pads=[0, 1, 0, 0, 0, 2, 0, 0], value=1.5, opset=9, name="channels"),
    case("Pad", tensors={"p": ints(0, 0, -1, 2, 0, 0, 0, -3)}, name="cut"),
    case("Pad", tensors={"p": ints(1, 2), "v": f32(0).reshape(()), "a": ints(-1)}, mode="edge", opset=18, name="axes"),
    *(bordered(mode, widths, [2, 3, 4, 5]) for mode in MODES for widths in WIDTHS.values()),
    *(bordered(mode, {1: (3, 2)}, ["n", 6]) for mode in MODES),
    *slowly(*(bordered(mode, {2: (1, 3)}, ["n", 3, 6]) for mode in MODES)),
    *(bordered(mode, {1: (1, 0), 2: (1, 3)}, ["n", 3, 6]) for mode in MODES),
    *(bordered(mode, {2: (1, 0), 3: (0, 2), 4: (1, 1)}, ["n", 2, 3, 4, 5]) for mode in MODES),
    *slowly(*(bordered(mode, {4: (1, 1)}, ["n", 2, 3, 4, 5]) for mode in MODES)),
    bordered("edge", {3: (7, 9)}, IMAGE),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)


def test_widths_may_follow_sizes(tmp_path):
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Slice", ["s", "two", "four"], ["hw"]),
        helper.make_node("Concat", ["none", "none", "hw"], ["p"], axis=0),
        helper.make_node("Pad", ["x", "p"], ["y"]),
    ]
    check(made(nodes, {"x": IMAGE}, ["y"], {**TENSORS, "none": ints(0, 0, 0)[:3]}), tmp_path)


def test_widths_may_be_turned_about_as_exporters_write_them(tmp_path):
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Slice", ["s", "two", "four"], ["hw"]),
        helper.make_node("Concat", ["hw", "none", "none"], ["widths"], axis=0),  # of the last axis first
        helper.make_node("Reshape", ["widths", "pairs"], ["table"]),
        helper.make_node("Slice", ["table", "last", "far", "first", "last"], ["turned"]),
        helper.make_node("Transpose", ["turned"], ["columns"], perm=[1, 0]),
        helper.make_node("Reshape", ["columns", "last"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["p"], to=7),
        helper.make_node("Pad", ["x", "p"], ["y"]),
    ]
    tensors = {**TENSORS, "none": ints(0, 0, 1), "pairs": ints(-1, 2), "last": ints(-1), "far": ints(-(2**63))}
    check(made(nodes, {"x": IMAGE}, ["y"], tensors), tmp_path)


@pytest.mark.parametrize("widths", [[0, 0, 8, 0, 0, 0, 0, 0], [0, 0, -1, 0, 0, 0, 0, 0]])
def test_what_would_be_mirrored_twice_or_cut_is_refused(widths, tmp_path):
    with pytest.raises(CheckpointError, match=r"\(Pad\) has mode reflect with widths of \[-?\d, 0\]"):
        check(case("Pad", tensors={"p": ints(*widths)}, mode="reflect").values[0], tmp_path)


@pytest.mark.parametrize(("widths", "groups"), [([0, 0, 1, 1, 0, 0, 1, 1], 1), ([0, 1, 0, 0, 0, 0, 0, 0], 0)])
def test_channels_go_through_a_border_of_pixels_and_not_through_one_of_channels(widths, groups, tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["c"]),
        helper.make_node("Pad", ["c", "p"], ["r"], mode="reflect"),
        helper.make_node("Conv", ["r", "w"], ["y"]),
    ]
    tensors = {"v": numbers(8, 6, 1, 1), "p": ints(*widths), "w": numbers(5, 8 + widths[1], 1, 1)}
    network = read(tmp_path / "net.onnx", made(nodes, {"x": IMAGE}, ["y"], tensors))
    assert len(groups_of(network)) == groups


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
