"""Rows of a table as a CSV file."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.core.files import atomic_write


def csv_text(rows: Sequence[Mapping[str, Any]], digits: int = 6) -> str:
    """Rows under the names of all their columns, in order of appearance; what a row lacks stays empty.

    Args:
        rows: the table.
        digits: significant digits of its floats.
    """
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _plain(value, digits) for name, value in row.items()} for row in rows)
    return text.getvalue()


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], digits: int = 6) -> None:
    """Writes `csv_text` to a file.

    Raises:
        NetslimError: the file can't be written; one that was there is untouched.
    """
    atomic_write(path, csv_text(rows, digits).encode())


def _plain(value: Any, digits: int) -> Any:
    return f"{value:.{digits}g}" if isinstance(value, float) else value
