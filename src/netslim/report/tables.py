"""Tables on the console."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table

from netslim.report.console import console


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints rows under columns; numbers are right-aligned."""
    rows = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) or str(row[index])[:1].isdigit() for row in rows)
        table.add_column(column, justify="right" if rows and numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row])
    console().print(table)


def percent(share: float, digits: int = 2) -> str:
    """0.9731 -> `97.31 %`."""
    return f"{100 * share:.{digits}f} %"


def size(count: float) -> str:
    """1703258 -> `1.70M`."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.2f}{unit}"
    return f"{count:.0f}"
