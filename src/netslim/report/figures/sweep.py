"""The picture of a sweep: accuracy, size and speed over budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.report.figures.drawn import TOP1, Drawn
from netslim.report.figures.style import FAINT_INK, open_axes, series_colours, write_figure

Rows = Sequence[Mapping[str, Any]]


def draw_sweep(rows: Rows, target: Path, *, title: str, latency: str | None, metric: Drawn = TOP1) -> None:
    """Writes a PNG: the metric over the MACs that are left, and beside it parameters and latency over the same MACs.

    Args:
        rows: the unpruned network first; `criterion`, `macs`, `params`, `top1` (0 to 1), and where they were measured
            `top1_recalibrated`, `top1_reconstructed` and `latency_ms`.
        target: the PNG file.
        title: one line above the picture.
        latency: how it was measured, or None.
        metric: which one.

    Raises:
        NetslimError: the file can't be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    accuracy, sizes = figure.subplots(1, 2)
    dense = rows[0]
    criteria = dict.fromkeys(str(row["criterion"]) for row in rows[1:])
    for colour, criterion in zip(series_colours(len(criteria)), criteria, strict=True):
        pruned = [row for row in rows[1:] if row["criterion"] == criterion]
        whole = {**dense, metric.recalibrated: dense[metric.key], metric.reconstructed: dense[metric.key]}
        own = [whole, *sorted(pruned, key=lambda row: -row["macs"])]
        label = criterion if len(criteria) > 1 else None
        _draw_accuracies(accuracy, dense, own, colour, label, metric)
        _draw_sizes(sizes, dense, own, colour, label)
    _finish_accuracies(accuracy, dense, metric)
    _finish_sizes(sizes, latency)
    write_figure(figure, target, dpi=130)


def _draw_accuracies(
    axes: Any, dense: Mapping[str, Any], own: Rows, colour: str, criterion: str | None, metric: Drawn
) -> None:
    before = f"{criterion}, " if criterion else ""
    for key, style, words in (
        (metric.reconstructed, "-.", "layers fitted"),
        (metric.recalibrated, "-", "BatchNorm recalibrated"),
        (metric.key, "--", "right after pruning"),
    ):
        found = [row for row in own if key in row]
        if len(found) > 1:
            macs = [_share(row, dense, "macs") for row in found]
            heights = [metric.height(row, key) for row in found]
            axes.plot(macs, heights, style, color=colour, marker="o", markersize=4, label=f"{before}{words}")


def _finish_accuracies(axes: Any, dense: Mapping[str, Any], metric: Drawn) -> None:
    axes.axhline(metric.height(dense), color=FAINT_INK, linewidth=1, linestyle=":", label="unpruned")
    axes.set_ylabel(metric.axis)
    if metric.is_share:
        axes.set_ylim(0, 102)
    _over_macs(axes, "accuracy without training" if metric == TOP1 else f"{metric.label} without training")


def _draw_sizes(axes: Any, dense: Mapping[str, Any], own: Rows, colour: str, criterion: str | None) -> None:
    before = f"{criterion}, " if criterion else ""
    for key, style, words in (("latency_ms", "-", "latency"), ("params", "--", "parameters")):
        found = [row for row in own if key in row]
        if len(found) > 1:
            macs = [_share(row, dense, "macs") for row in found]
            sizes = [_share(row, dense, key) for row in found]
            axes.plot(macs, sizes, style, color=colour, marker="o", markersize=4, label=f"{before}{words}")


def _finish_sizes(axes: Any, latency: str | None) -> None:
    axes.plot([0, 100], [0, 100], color=FAINT_INK, linewidth=1, linestyle=":", label="in proportion to MACs")
    axes.set_ylabel("left of the unpruned network (%)")
    axes.set_ylim(bottom=0)
    _over_macs(axes, f"size and latency ({latency})" if latency else "size")


def _over_macs(axes: Any, title: str) -> None:
    axes.set_xlabel("MACs left (% of the unpruned network)")
    axes.set_xlim(0, 102)
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    open_axes(axes, grid=True)


def _share(row: Mapping[str, Any], dense: Mapping[str, Any], key: str) -> float:
    return float(100 * row[key] / dense[key])
