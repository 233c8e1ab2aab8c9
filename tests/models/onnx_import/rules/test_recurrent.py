"""Recurrent layers: as in ONNX Runtime."""

import numpy as np
import pytest
from onnx import helper
from onnx_graphs import difference, groups_of, made, numbers, read, source_of
from operator_cases import case, check, ints, slowly

import netslim
from netslim.core.errors import CheckpointError
from netslim.deploy.formats.onnx_rewrite import rewritten

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def weights(kind, directions, *, features=4, hidden=5, bias=True):
    rows = GATES[kind] * hidden
    shapes = {"w": (directions, rows, features), "r": (directions, rows, hidden), "b": (directions, 2 * rows)}
    kept = {name: shape for name, shape in shapes.items() if bias or name != "b"}
    return {name: 0.3 * numbers(*shape, seed=at) for at, (name, shape) in enumerate(kept.items())}


def layer(kind, direction="forward", *, bias=True, states=False, lengths=None, **attributes):
    directions = 1 + (direction == "bidirectional")
    tensors = weights(kind, directions, bias=bias)
    order = ["x", *tensors, *([""] if not bias else []), ""]
    if lengths is not None:
        tensors["lengths"] = np.array(lengths, dtype=np.int32)
        order[4] = "lengths"
    if states:
        tensors |= {name: numbers(directions, 2, 5, seed=7) for name in ("h", "c")[: 1 + (kind == "LSTM")]}
        order += ["h", "c"][: 1 + (kind == "LSTM")]
    name = "-".join(
        [direction, *(["plain"] if not bias else []), *(["states"] if states else []), *map(str, attributes)]
    )
    settings = {"hidden_size": 5, "direction": direction, **attributes}
    outputs = 3 if kind == "LSTM" else 2
    return case(kind, inputs={"x": [7, 2, 4]}, tensors=tensors, order=order, outputs=outputs, name=name, **settings)


DIRECTIONS = ("forward", "reverse", "bidirectional")
CASES = [
    *(layer(kind, direction, states=True) for kind in GATES for direction in DIRECTIONS),
    *slowly(*(layer(kind, direction) for kind in GATES for direction in DIRECTIONS)),
    *(layer("GRU", direction, linear_before_reset=1) for direction in DIRECTIONS),
    *(layer(kind, bias=False) for kind in GATES),
    layer("GRU", bias=False, linear_before_reset=1),
    layer("RNN", "bidirectional", activations=["Relu", "Relu"]),
    layer("LSTM", lengths=[7, 7]),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (layer("LSTM", clip=1.0), "has clip, which torch's LSTM does not have"),
        (layer("GRU", activations=["Relu", "Tanh"]), "has activations Relu, Tanh, which torch's GRU does not have"),
        (layer("RNN", lengths=[7, 3]), "has sequences of several lengths"),
    ],
)
def test_what_torch_has_not_is_refused(model, why, tmp_path):
    with pytest.raises(CheckpointError, match=why):
        check(model.values[0], tmp_path)


@pytest.mark.parametrize("settings", [("LSTM", {}), ("GRU", {}), ("GRU", {"linear_before_reset": 1}), ("RNN", {})])
def test_channels_before_it_go_and_its_states_stay(settings, tmp_path):
    kind, attributes = settings
    tensors = {"v": numbers(8, 3, 1), "shape": ints(0, 0), **weights(kind, 2, features=8)}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["c"]),
        helper.make_node("Transpose", ["c"], ["t"], perm=[2, 0, 1]),
        helper.make_node(kind, ["t", "w", "r", "b"], ["y"], hidden_size=5, direction="bidirectional", **attributes),
    ]
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3, 6]}, ["y"], tensors))
    assert len(groups_of(network)) == 1
    source = source_of(network)
    plan = netslim.plan(network, source.example(), percent=0.4, criterion="l2_norm")
    assert (plan.total, [len(group.keep) for group in plan.groups]) == (8, [4])
    small = netslim.apply(network, plan)
    content = rewritten(small, source, {}).SerializeToString()
    assert difference(tmp_path / "net.onnx", small, content) < 1e-5
