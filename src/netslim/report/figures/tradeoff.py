"""Pictures of prunings without training: accuracy, size and speed over budgets, and layer by layer."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.core.files import atomic_write
from netslim.report.figures.mapping import FAINT_INK, STAGE_COLOURS

Rows = Sequence[Mapping[str, Any]]
SHOWN_NAMES = 60  # of layers on an axis; of more, every second, third, ... is named


def draw_sweep(rows: Rows, target: Path, *, title: str, latency: str | None) -> None:
    """Writes a PNG: top-1 over the MACs that are left, and beside it parameters and latency over the same MACs.

    Args:
        rows: the unpruned network first; `criterion`, `macs`, `params`, `top1` (0 to 1), and where they were measured
            `top1_recalibrated` and `latency_ms`.
        target: the PNG file.
        title: one line above the picture.
        latency: how it was measured, or None.

    Raises:
        NetslimError: the file can't be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    accuracy, sizes = figure.subplots(1, 2)
    dense = rows[0]
    criteria = dict.fromkeys(str(row["criterion"]) for row in rows[1:])
    for colour, criterion in zip(_colours(len(criteria)), criteria, strict=True):
        pruned = [row for row in rows[1:] if row["criterion"] == criterion]
        own = [{**dense, "top1_recalibrated": dense["top1"]}, *sorted(pruned, key=lambda row: -row["macs"])]
        label = criterion if len(criteria) > 1 else None
        _draw_accuracies(accuracy, dense, own, colour, label)
        _draw_sizes(sizes, dense, own, colour, label)
    _finish_accuracies(accuracy, dense)
    _finish_sizes(sizes, latency)
    _write(figure, target)


def draw_sensitivity(rows: Rows, target: Path, *, title: str) -> None:
    """Writes a PNG: per layer the top-1 when a share of its channels is gone, and the MACs that this saves.

    Args:
        rows: the unpruned network first; the others, layer by layer in network order, with `layer`, `share`, `top1` (0
            to 1) and `macs`.
        target: the PNG file.
        title: one line above the picture.

    Raises:
        NetslimError: the file can't be written.
    """
    from matplotlib.figure import Figure

    dense, layers = rows[0], list(dict.fromkeys(str(row["layer"]) for row in rows[1:]))
    shares = sorted({row["share"] for row in rows[1:]})
    figure = Figure(figsize=(min(24.0, max(8.0, 2.5 + 0.22 * len(layers))), 6.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    accuracy, freed = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    accuracy.axhline(100 * dense["top1"], color=FAINT_INK, linewidth=1, linestyle=":", label="unpruned")
    width = 0.8 / len(shares)
    for index, (colour, share) in enumerate(zip(_colours(len(shares)), shares, strict=True)):
        own = [row for row in rows[1:] if row["share"] == share]
        places = [layers.index(str(row["layer"])) for row in own]
        top1 = [100 * row["top1"] for row in own]
        label = f"{100 * share:g} % of the layer's channels removed"
        accuracy.plot(places, top1, color=colour, marker="o", markersize=3, linewidth=1, label=label)
        bars = [place + (index - (len(shares) - 1) / 2) * width for place in places]
        freed.bar(bars, [100 * (1 - row["macs"] / dense["macs"]) for row in own], color=colour, width=width)
    accuracy.set_ylabel("top-1 (%)")
    accuracy.legend(frameon=False, fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    freed.set_ylabel("MACs freed\n(% of the network's)")
    every = -(-len(layers) // SHOWN_NAMES)
    freed.set_xticks(range(0, len(layers), every), layers[::every], rotation=90, fontsize=7)
    freed.set_xlim(-0.8, len(layers) - 0.2)
    _plain_axes(accuracy, freed)
    _write(figure, target)


def _draw_accuracies(axes: Any, dense: Mapping[str, Any], own: Rows, colour: str, criterion: str | None) -> None:
    before = f"{criterion}, " if criterion else ""
    for key, style, words in (
        ("top1_recalibrated", "-", "BatchNorm recalibrated"),
        ("top1", "--", "right after pruning"),
    ):
        found = [row for row in own if key in row]
        if len(found) > 1:
            macs = [_share(row, dense, "macs") for row in found]
            top1 = [100 * row[key] for row in found]
            axes.plot(macs, top1, style, color=colour, marker="o", markersize=4, label=f"{before}{words}")


def _finish_accuracies(axes: Any, dense: Mapping[str, Any]) -> None:
    axes.axhline(100 * dense["top1"], color=FAINT_INK, linewidth=1, linestyle=":", label="unpruned")
    axes.set_ylabel("top-1 (%)")
    axes.set_ylim(0, 102)
    _over_macs(axes, "accuracy without training")


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
    _plain_axes(axes)


def _share(row: Mapping[str, Any], dense: Mapping[str, Any], key: str) -> float:
    return float(100 * row[key] / dense[key])


def _colours(count: int) -> list[str]:
    return [STAGE_COLOURS[index % len(STAGE_COLOURS)] for index in range(count)]


def _plain_axes(*panels: Any) -> None:
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#E4E7EB", linewidth=0.6)
        axes.set_axisbelow(True)


def _write(figure: Any, target: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, dpi=130, format="png")
    atomic_write(target, picture.getvalue())
