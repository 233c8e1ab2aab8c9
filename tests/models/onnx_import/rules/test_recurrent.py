"""Recurrent layers: as in ONNX Runtime."""

import pytest
from onnx_graphs import numbers
from operator_cases import case, check


def recurrent(directions):
    shapes = {"w": (directions, 20, 4), "r": (directions, 20, 5), "b": (directions, 40)}
    return {name: 0.3 * numbers(*shape, seed=at) for at, (name, shape) in enumerate(shapes.items())}


CASES = [
    case("LSTM", inputs={"x": [7, 2, 4]}, tensors=recurrent(2), hidden_size=5, direction="bidirectional", outputs=3),
    case("LSTM", inputs={"x": [7, 2, 4]}, tensors=recurrent(1), hidden_size=5, name="forward"),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)
