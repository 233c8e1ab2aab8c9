"""Energy that the processor counts itself (Intel's and AMD's RAPL), where Linux lets it be read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


def energy_per_call(call: Callable[[], object], seconds: float) -> float | None:
    """Joules that the processor's packages take while a call runs once, idle power and other programs' share included.

    Args:
        call: does the work once; it is run again and again.
        seconds: for how long.

    Returns:
        None where no counter can be read: most systems let root alone do so.
    """
    if not (before := _counters()):
        return None
    start, runs = time.perf_counter(), 0
    while not runs or time.perf_counter() - start < seconds:
        call()
        runs += 1
    after = _counters()
    if before.keys() != after.keys():
        return None
    return sum(_microjoules(zone, before[zone], after[zone]) for zone in before) / 1e6 / runs


def _counters() -> dict[Path, int]:
    """What each package's counter says, in microjoules; parts of a package (`intel-rapl:0:0`) are in it."""
    found = {}
    for zone in sorted(POWERCAP.glob("intel-rapl:*")):
        if zone.name.count(":") == 1 and (_read(zone / "name") or "").startswith("package"):
            count = _read(zone / "energy_uj")
            if count is not None:
                found[zone] = int(count)
    return found


def _microjoules(zone: Path, before: int, after: int) -> int:
    """How far a counter went on, which starts at zero again after its largest value."""
    return after - before if after >= before else after - before + int(_read(zone / "max_energy_range_uj") or 0)


def _read(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None
