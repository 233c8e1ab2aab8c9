"""The latency of both networks: from a benchmark that is there, or measured now."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from netslim.core.errors import NetslimError
from netslim.core.files import read_text
from netslim.core.schemas import LARGEST_JSON
from netslim.report.console import say
from netslim.report.page.findings import Speed
from netslim.stages.bench.config import BenchConfig
from netslim.stages.bench.run import TABLE
from netslim.stages.bench.run import run as bench
from netslim.stages.report.config import ReportConfig

FOLDER, SECONDS = "bench", 0.5
NOISY = 2.0  # times the lower quartile is more than an upper one of calls that nothing disturbs


def measure(config: ReportConfig, large: Path, small: Path, target: Path) -> tuple[Speed, ...]:
    """Measures both networks as `netslim bench` does, into a folder beside the page.

    Raises:
        NetslimError: a file can't be run or written.
    """
    folder = target.parent / FOLDER
    given = {"files": [large, small], "save": folder, "engines": "eager", "seconds": SECONDS, "memory": False}
    bench(BenchConfig.build({**given, "arch": config.arch, "arch_args": config.arch_args}))
    return _rows(folder / TABLE, large, small)


def known_speeds(config: ReportConfig, large: Path, small: Path, target: Path) -> tuple[Speed, ...]:
    """What the first benchmark of both files says that is there: in the folders, beside them or beside the page."""
    around = [target.parent, *config.folders, *(folder.parent for folder in config.folders)]
    for folder in dict.fromkeys(around):
        for path in (folder / TABLE, folder / FOLDER / TABLE):
            found = _rows(path, large, small) if _newer(path, small) else ()
            if found:
                return found
    return ()


def _newer(path: Path, file: Path) -> bool:
    """Whether a benchmark was made after a file."""
    try:
        return path.is_file() and path.stat().st_mtime >= file.stat().st_mtime
    except OSError:
        return False


def _rows(path: Path, large: Path, small: Path) -> tuple[Speed, ...]:
    try:
        rows = [*csv.DictReader(read_text(path, LARGEST_JSON).splitlines())]
        before = {_place(row): row for row in rows if _is(row, large)}
        return tuple(_speed(row, before.get(_place(row)), path) for row in rows if _is(row, small))
    except (OSError, ValueError, KeyError, csv.Error, NetslimError) as error:
        say(f"{path} can't be read ({error}): no latency")
        return ()


def _speed(row: Mapping[str, str], before: Mapping[str, str] | None, path: Path) -> Speed:
    return Speed(
        engine=row["engine"],
        threads=int(row["threads"]),
        batch=int(row["batch_size"]),
        before=_seconds(before) if before else None,
        after=_seconds(row),
        hardware=row.get("cpu") or "an unknown processor",
        source=path.name if not path.parent.name else f"{path.parent.name}/{path.name}",
        noisy=_is_noisy(row) or (before is not None and _is_noisy(before)),
    )


def _is_noisy(row: Mapping[str, str]) -> bool:
    quartiles = (row.get(f"{which}_quartile_seconds") for which in ("lower", "upper"))
    lower, upper = (float(seconds or 0) for seconds in quartiles)
    return upper > NOISY * lower


def _place(row: Mapping[str, str]) -> Iterable[str]:
    return row["engine"], row["threads"], row["batch_size"]


def _seconds(row: Mapping[str, str]) -> float:
    seconds = float(row["median_seconds"])
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"median_seconds {seconds}")
    return seconds


def _is(row: Mapping[str, str], file: Path) -> bool:
    return Path(row["file"]).resolve() == file.resolve()
