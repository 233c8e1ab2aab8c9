"""What a sweep times is what would be exported, where that can be."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.core.networks.trees import Batch
from netslim.cost import Latency
from netslim.stages.analyze import timing
from netslim.stages.analyze.timing import latencies

IMAGES = torch.randn(2, 3, 8, 8)


class Deciding(nn.Module):
    """Its code looks at values: it has no fixed graph."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x


class Sums(nn.Module):
    """What netslim does not write to ONNX itself."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, 1)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call runs once, and its name is kept."""
    kept: list[str] = []

    def measure(calls: dict[str, Callable[[], object]], **_: object) -> dict[str, Latency]:
        for name, call in calls.items():
            call()
            kept.append(name)
        return {name: Latency(median=2e-3, lower_quartile=1e-3, upper_quartile=3e-3, runs=5) for name in calls}

    monkeypatch.setattr(timing, "measure_latency", measure)
    return kept


def timed(networks: dict[str, nn.Module], images: Batch = IMAGES, stop: Callable[[], None] = lambda: None) -> list[str]:
    found = latencies(networks, images, stop, lambda text: None)
    assert all((row["latency_ms_q1"], row["latency_ms"], row["latency_ms_q3"]) == (1, 2, 3) for row in found.values())
    return [row["timed_as"] for row in found.values()]


def test_networks_are_timed_as_they_would_be_exported(ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    dense = netslim.create_model("resnet", depth=11, num_classes=4)
    networks = {"dense": dense, "deciding": Deciding(), "sums": Sums()}
    assert timed(networks) == ["onnxruntime zeros/1/nchw/norms", "PyTorch, as it is", "eager zeros/1/nhwc"]
    assert ran == ["dense", "deciding", "sums"]
    monkeypatch.setattr(timing.importlib.util, "find_spec", lambda name: None)
    assert timed({"dense": dense}) == ["eager zeros/1/nhwc"]


def test_a_run_that_was_interrupted_ends_before_a_call(ran: list[str]) -> None:
    asked: list[int] = []

    def stop() -> None:
        asked.append(1)
        if len(asked) > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        timed({"deciding": Deciding()}, stop=stop)
    assert ran == []
