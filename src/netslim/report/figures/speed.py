"""The picture of a benchmark: how fast networks are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.report.figures.style import INK, SERIES, open_axes, write_figure

COLOURS = ("#9aa5b1", *SERIES)  # grey: what the others are compared with


def draw_speed(rows: Sequence[Mapping[str, Any]], target: Path) -> None:
    """Writes a PNG: images per second of every file, one panel per engine, batch size and number of threads.

    Args:
        rows: with `file`, `engine`, `threads`, `batch_size`, the three quartiles in seconds and `speed_up` (or None).
        target: the PNG file.

    Raises:
        NetslimError: the file can't be written.
    """
    from matplotlib.figure import Figure

    places = list(dict.fromkeys((row["engine"], row["threads"], row["batch_size"]) for row in rows))
    files = list(dict.fromkeys(row["file"] for row in rows))
    columns = min(4, len({batch for _, _, batch in places}))
    lines = -(-len(places) // columns)
    names = _short(files)
    width = 0.5 + 0.09 * max(map(len, names)) + 3.6 * columns
    figure = Figure(figsize=(width, lines * (1.4 + 0.42 * len(files))), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(places) :]:
        axes.set_visible(False)
    for axes, place in zip(grid.flat, places, strict=False):
        shown = [row for row in rows if (row["engine"], row["threads"], row["batch_size"]) == place]
        _draw(axes, shown, files)
        engine, threads, batch = place
        axes.set_title(f"{engine}, batch {batch}, {threads} thread{'s' if threads > 1 else ''}", fontsize=10)
    for line in grid:
        line[0].set_yticks(range(len(files)), names)
    for axes in grid[-1]:
        axes.set_xlabel("images per second (bars: quartiles)")
    write_figure(figure, target, dpi=120)


def _draw(axes: Any, rows: Sequence[Mapping[str, Any]], files: Sequence[str]) -> None:
    for row in rows:
        place, batch = files.index(row["file"]), row["batch_size"]
        low, middle, high = (batch / row[f"{name}_seconds"] for name in ("upper_quartile", "median", "lower_quartile"))
        spread = [[middle - low], [high - middle]]
        axes.barh(place, middle, xerr=spread, color=COLOURS[place % len(COLOURS)], height=0.62, ecolor=INK)
        text = f"  {middle:,.0f}" + (f"  ({row['speed_up']:.2f}x)" if row["speed_up"] and place else "")
        axes.text(high, place, text, va="center", fontsize=8)
    axes.set_yticks(range(len(files)), [""] * len(files))
    axes.set_ylim(len(files) - 0.5, -0.5)
    axes.margins(x=0.45)
    axes.set_xlim(left=0)
    open_axes(axes)


def _short(files: Sequence[str]) -> list[str]:
    """Names without the folders that all share."""
    parts = [Path(file).parts for file in files]
    common = 0
    while len(files) > 1 and all(len(p) > common + 1 for p in parts) and len({p[common] for p in parts}) == 1:
        common += 1
    return [str(Path(*p[common:])) for p in parts]
