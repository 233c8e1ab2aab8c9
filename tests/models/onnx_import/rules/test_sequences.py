"""Sequences of tensors: as in ONNX Runtime."""

import numpy as np
import pytest
from onnx import helper
from onnx_graphs import groups_of, made, numbers, read
from operator_cases import IMAGE, check, ints

from netslim.core.errors import CheckpointError

node = helper.make_node
TENSORS = {"one": np.array(1), "last": np.array(-1), "two": np.array(2), "sizes": ints(1, 2, 3)}
SPLITS = {
    "parts": [node("SplitToSequence", ["x", "two"], ["s"], axis=1)],
    "sizes": [node("SplitToSequence", ["x", "sizes"], ["s"], axis=1)],
    "ones": [node("SplitToSequence", ["x"], ["s"], axis=1, keepdims=0)],
    "uneven": [node("SplitToSequence", ["x", "two"], ["s"], axis=3)],
    "made": [node("Neg", ["x"], ["a"]), node("SequenceConstruct", ["x", "a"], ["s"])],
    "empty": [
        node("SequenceEmpty", [], ["e"], dtype=1),
        node("SequenceInsert", ["e", "x"], ["t"]),
        node("Neg", ["x"], ["a"]),
        node("SequenceInsert", ["t", "a", "last"], ["s"]),
    ],
}
ENDS = {
    "at": [node("SequenceAt", ["s", "last"], ["y"])],
    "joined": [node("ConcatFromSequence", ["s"], ["y"], axis=-1)],
    "length": [node("SequenceLength", ["s"], ["n"]), node("Cast", ["n"], ["f"], to=1), node("Mul", ["x", "f"], ["y"])],
}
PAIRS = [(begin, end) for begin in SPLITS for end in ENDS if (begin, end) not in {("sizes", "joined"), ("uneven", "x")}]
CASES = [
    *(
        pytest.param(made([*SPLITS[begin], *ENDS[end]], {"x": IMAGE}, ["y"], TENSORS), id=f"{begin}-{end}")
        for begin, end in PAIRS
        if end != "joined" or begin != "uneven"
    ),
    pytest.param(
        made(
            [*SPLITS["made"], node("ConcatFromSequence", ["s"], ["y"], axis=1, new_axis=1)],
            {"x": IMAGE},
            ["y"],
            TENSORS,
        ),
        id="stacked",
    ),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)


def test_a_tensor_is_no_sequence(tmp_path):
    model = made([node("SequenceAt", ["x", "one"], ["y"], name="at")], {"x": IMAGE}, ["y"], TENSORS)
    with pytest.raises(CheckpointError, match=r"node 'at' \(SequenceAt\) takes no sequence"):
        read(tmp_path / "net.onnx", model)


def test_channels_that_are_split_by_number_stay(tmp_path):
    nodes = [node("Conv", ["x", "v"], ["c"]), node("SplitToSequence", ["c", "two"], ["s"], axis=1)]
    nodes += [node("ConcatFromSequence", ["s"], ["j"], axis=1), node("Conv", ["j", "w"], ["y"])]
    tensors = {**TENSORS, "v": numbers(8, 6, 1, 1), "w": numbers(5, 8, 1, 1)}
    assert not groups_of(read(tmp_path / "net.onnx", made(nodes, {"x": IMAGE}, ["y"], tensors)))
