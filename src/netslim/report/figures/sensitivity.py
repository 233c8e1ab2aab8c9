"""The picture of a sensitivity analysis: accuracy and cost, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.report.figures.drawn import TOP1, Drawn
from netslim.report.figures.style import FAINT_INK, open_axes, series_colours, write_figure

Rows = Sequence[Mapping[str, Any]]
SHOWN_NAMES = 60  # of layers on an axis; of more, every second, third, ... is named


def draw_sensitivity(rows: Rows, target: Path, *, title: str, metric: Drawn = TOP1) -> None:
    """Writes a PNG: per layer the metric when a share of its channels is gone, and the MACs that this saves.

    Args:
        rows: the unpruned network first; the others, layer by layer in network order, with `layer`, `share`, `top1` (0
            to 1) and `macs`.
        target: the PNG file.
        title: one line above the picture.
        metric: which one.

    Raises:
        NetslimError: the file can't be written.
    """
    from matplotlib.figure import Figure

    dense, layers = rows[0], list(dict.fromkeys(str(row["layer"]) for row in rows[1:]))
    shares = sorted({row["share"] for row in rows[1:]})
    figure = Figure(figsize=(min(24.0, max(8.0, 2.5 + 0.22 * len(layers))), 6.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    accuracy, freed = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    accuracy.axhline(metric.height(dense), color=FAINT_INK, linewidth=1, linestyle=":", label="unpruned")
    width = 0.8 / len(shares)
    for index, (colour, share) in enumerate(zip(series_colours(len(shares)), shares, strict=True)):
        own = [row for row in rows[1:] if row["share"] == share]
        places = [layers.index(str(row["layer"])) for row in own]
        heights = [metric.height(row) for row in own]
        label = f"{100 * share:g} % of the layer's channels removed"
        accuracy.plot(places, heights, color=colour, marker="o", markersize=3, linewidth=1, label=label)
        bars = [place + (index - (len(shares) - 1) / 2) * width for place in places]
        freed.bar(bars, [100 * (1 - row["macs"] / dense["macs"]) for row in own], color=colour, width=width)
    accuracy.set_ylabel(metric.axis)
    accuracy.legend(frameon=False, fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    freed.set_ylabel("MACs freed\n(% of the network's)")
    every = -(-len(layers) // SHOWN_NAMES)
    freed.set_xticks(range(0, len(layers), every), layers[::every], rotation=90, fontsize=7)
    freed.set_xlim(-0.8, len(layers) - 0.2)
    open_axes(accuracy, freed, grid=True)
    write_figure(figure, target, dpi=130)
