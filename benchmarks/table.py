"""Measured numbers as CSV: every row with its spread, and with what it depends on (hardware, versions, commit)."""

import csv
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.core.runs.environment import commit, hardware, versions
from netslim.report.csv_files import csv_text, write_csv

DIGITS = 4  # of a float that was measured


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Lower quartile, median and upper quartile, of two values or more."""
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {"q1": lower, "median": median, "q3": upper}


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], *, show: bool = True) -> None:
    """Writes `rows` to a new CSV file and prints them; floats get four significant digits.

    Rows that say what they were measured on (from `rows_of_these_versions`) keep that.
    """
    measured_on = {**hardware(), **versions(), "commit": commit()}
    complete = [{**row, **{key: row.get(key, value) for key, value in measured_on.items()}} for row in rows]
    write_csv(path, complete, DIGITS)
    if show:
        sys.stdout.write(csv_text(complete, DIGITS))


def rows_of_these_versions(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file that were measured with the libraries' versions of now; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if all(row[key] == value for key, value in versions().items())]
