"""What engines say of their nodes: the unit's count, its surroundings' don't."""

from pathlib import Path
from typing import Any

import onnx
import pytest

from netslim.deploy.latency import profiles
from netslim.deploy.latency.pieces import piece_of
from netslim.deploy.latency.profiles import OpenVinoProfile, content_of, lower_quartile

from .small import units


def test_a_piece_in_int8_is_multiplied_in_int8() -> None:
    found = units()
    network = piece_of(found, found.units[2]).in_context((24, 16))  # two inputs, and an addition
    plain, small = (onnx.load_from_string(content_of(network, int8=int8) or b"") for int8 in (False, True))
    kinds = [{node.op_type for node in model.graph.node} for model in (plain, small)]
    assert "QuantizeLinear" not in kinds[0]
    assert {"Conv", "Add", "QuantizeLinear", "DequantizeLinear"} <= kinds[1]


@pytest.mark.parametrize(
    ("nodes", "seconds"),
    [
        (
            [("unit_0/WithoutBiases", "Convolution", 2.0), ("x_unit_0", "Reorder", 1.0), ("context_0", "Reorder", 9.0)],
            3,
        ),
        ([("output", "FullyConnected", 2.0), ("output", "Reorder", 9.0), ("x0", "Parameter", 9.0)], 2),
    ],
)
def test_what_of_openvino_counts(monkeypatch: pytest.MonkeyPatch, nodes: list[Any], seconds: float) -> None:
    monkeypatch.setattr(profiles, "profiled_openvino", lambda content, threads: (lambda inputs: nodes, [[0, 3]]))
    profile = OpenVinoProfile(b"", 2, 1, str(Path()))
    profile.run()
    assert profile.seconds() == pytest.approx(seconds, abs=1e-5)


def test_lower_quartile() -> None:
    assert lower_quartile([3.0]) == 3.0
    assert lower_quartile([4.0, 1.0, 2.0, 3.0, 9.0]) == 2.0
