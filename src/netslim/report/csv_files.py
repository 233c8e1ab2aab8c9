"""Rows of a table as a CSV file."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.core.files import atomic_write


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows under the names of all their columns, in order of appearance; what a row lacks stays empty.

    Raises:
        NetslimError: the file can't be written; one that was there is untouched.
    """
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)
    atomic_write(path, text.getvalue().encode())


def _plain(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
