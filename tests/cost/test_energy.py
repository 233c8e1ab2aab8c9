"""Joules of a call, from counters in a folder like Linux'."""

from collections.abc import Callable
from pathlib import Path

import pytest

from netslim.cost import energy
from netslim.cost.energy import energy_per_call

Zone = Callable[..., Path]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Zone:
    """`zone("intel-rapl:0", "package-0", 5)` makes a counter."""
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)

    def make(folder: str, name: str, count: int) -> Path:
        made = tmp_path / folder
        made.mkdir()
        for file, content in (("name", name), ("energy_uj", count), ("max_energy_range_uj", 10_000_000)):
            (made / file).write_text(f"{content}\n")
        return made

    return make


def counting(*zones: tuple[Path, int]) -> Callable[[], None]:
    """A call that makes each counter go on by so many microjoules."""

    def call() -> None:
        for zone, step in zones:
            file = zone / "energy_uj"
            file.write_text(f"{(int(file.read_text()) + step) % 10_000_000}\n")

    return call


def test_packages_are_added_up_and_their_parts_are_not(zone: Zone) -> None:
    first, second = zone("intel-rapl:0", "package-0", 5), zone("intel-rapl:1", "package-1", 7)
    core, whole = zone("intel-rapl:0:0", "core", 5), zone("intel-rapl:2", "psys", 5)
    call = counting((first, 20_000), (second, 30_000), (core, 15_000), (whole, 90_000))
    assert energy_per_call(call, 0.01) == pytest.approx(0.05)


def test_a_counter_that_starts_again(zone: Zone) -> None:
    assert energy_per_call(counting((zone("intel-rapl:0", "package-0", 9_990_000), 30_000)), 1e-9) == pytest.approx(
        0.03
    )


def test_no_counter_no_energy(zone: Zone) -> None:
    calls: list[str] = []
    assert energy_per_call(lambda: calls.append("run"), 1) is None
    (zone("intel-rapl:0", "package-0", 5) / "energy_uj").unlink()  # as one that may not be read
    assert energy_per_call(lambda: calls.append("run"), 1) is None
    assert calls == []
