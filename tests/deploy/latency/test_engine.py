"""An engine's table: what is missing is measured once, and whole networks are run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netslim
from installed import needs
from netslim.core.errors import ArgumentError, UsageError
from netslim.core.protocols import ChannelGroup
from netslim.deploy.form_search import Choice
from netslim.deploy.inference import Form
from netslim.deploy.latency import filling
from netslim.deploy.latency.runners import Point
from netslim.deploy.targets.onnx import onnx_bytes

from .small import INNER, STREAM, Small

GROUPS = [(ChannelGroup(name="inner", scales=(), branch="block"), INNER), (ChannelGroup(name="s", scales=()), STREAM)]
EXAMPLE = torch.zeros(2, 3, 8, 8)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Point]:
    """Every point that is timed; its time is the product of its widths, in microseconds."""
    found: list[Point] = []

    def by_formula(engine: str, points: list[Point], batch: int, threads: int, *, int8: bool) -> list[float]:
        assert (engine, batch, threads, int8) == ("onnxruntime", 3, 1, False)
        found.extend(points)
        return [1e-6 * float(torch.tensor(widths).prod()) for _, widths in points]

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(filling, "time_points", by_formula)
    return found


def test_parts_are_timed_once(asked: list[Point]) -> None:
    shown: list[tuple[int, int]] = []
    engine = netslim.Engine(batch_size=3, threads=1, progress=lambda done, total: shown.append((done, total)))
    times = engine.times_of(Small().eval(), EXAMPLE, GROUPS, [24, 16])
    expected = 3 * 16 + 16 * 24 + 24 * 16 + 16 + 16 + 16 + 16 * 10
    assert times.at([0, 0]) == pytest.approx(expected * 1e-6)
    assert times.at([24, 0], frozenset({"block"})) == pytest.approx((expected - 2 * 16 * 24) * 1e-6)
    assert shown[0][0] == 0
    assert shown[-1][0] == shown[-1][1]
    count = len(asked)
    again = netslim.Engine(batch_size=3, threads=1).times_of(Small().eval(), EXAMPLE, GROUPS, [24, 16])
    assert (again.at([0, 8]), len(asked)) == (times.at([0, 8]), count)


def test_a_table_of_another_machine_must_be_whole(asked: list[Point]) -> None:
    engine = netslim.Engine(batch_size=3, threads=1)
    engine.is_here = False
    with pytest.raises(UsageError, match=r"lacks \d+ of the times that this network needs"):
        engine.times_of(Small().eval(), EXAMPLE, GROUPS, [24, 16])
    assert not asked


@pytest.mark.parametrize(
    ("name", "int8"), [("onnxruntime", False), ("onnxruntime", True), ("openvino", False), ("openvino", True)]
)
def test_whole_networks_run(monkeypatch: pytest.MonkeyPatch, name: str, int8: bool) -> None:
    needs(name)
    monkeypatch.setattr("netslim.deploy.latency.engine._SECONDS", 0.01)
    engine = netslim.Engine(name, threads=1, int8=int8)
    assert (engine.conditions.engine, engine.conditions.int8) == (name, int8)
    times = engine.time({"small": engine.call(Small().eval(), EXAMPLE)})
    assert 0 < times["small"].lower_quartile <= times["small"].median


@pytest.mark.parametrize("int8", [False, True])
def test_a_whole_network_is_in_the_form_that_export_would_choose(monkeypatch: pytest.MonkeyPatch, int8: bool) -> None:
    written: list[set[int]] = []
    real = onnx_bytes

    def noted(network: nn.Module, example: Tensor) -> bytes:
        written.append({len(own.weight) for own in network.modules() if isinstance(own, nn.Conv2d)})
        return real(network, example)

    def fastest(network: Any, example: Any, call_of: Any, forms: list[Form], search: Any) -> Choice:
        return Choice(form=forms[-1], measured={})

    monkeypatch.setattr("netslim.deploy.latency.engine.onnx_bytes", noted)
    monkeypatch.setattr("netslim.deploy.latency.engine.choose", fastest)
    monkeypatch.setattr("netslim.deploy.latency.engine._SECONDS", 0.01)
    netslim.Engine(threads=1, int8=int8).call(Small().eval(), EXAMPLE)()
    assert written == [{16, 32}]  # not 16 and 24


def test_what_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="`engine='tensorrt'`: type one of onnxruntime, openvino, eager, compiled"):
        netslim.Engine("tensorrt")
    with pytest.raises(ArgumentError, match="`threads=0`"):
        netslim.Engine(threads=0)
    with pytest.raises(ArgumentError, match="`int8=True`: engine eager has no 8-bit integers; type `engine='onnxrun"):
        netslim.Engine("eager", int8=True)
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(UsageError, match=r"engine openvino needs the package openvino, .* 'netslim\[openvino\]'"):
        netslim.Engine("openvino")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"engine onnxruntime needs the package onnxruntime, .* 'netslim\[export\]'"):
        netslim.Engine()
