"""Measured numbers as CSV: every row with its spread, and with what it depends on (hardware, versions, commit)."""

import csv
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.core.environment import commit, hardware, versions


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Lower quartile, median and upper quartile, of two values or more."""
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {"q1": lower, "median": median, "q3": upper}


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes `rows` to a new CSV file and prints them; floats get four significant digits."""
    measured_on = {**hardware(), **versions(), "commit": commit()}
    complete = [{**row, **measured_on} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        for stream in (file, sys.stdout):
            writer = csv.DictWriter(stream, fieldnames=list(complete[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({key: _plain(value) for key, value in row.items()} for row in complete)


def _plain(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
