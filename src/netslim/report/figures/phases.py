"""The picture of a whole workflow: what each phase did."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.core.protocols import PrunePlan
from netslim.report.figures.style import open_axes, write_figure

KEPT, GONE = "#2a6f97", "#d9dde1"


def draw_phases(phases: Sequence[Mapping[str, Any]], plan: PrunePlan, target: Path) -> None:
    """Writes a PNG: kept channels of each layer above, accuracy and size after each phase below.

    Args:
        phases: rows with `phase`, `top1` (0 to 1) and `params`.
        plan: what was removed.
        target: the PNG file.

    Raises:
        NetslimError: the file can't be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplot_mosaic([["layers", "layers"], ["accuracy", "size"]])
    _draw_layers(panels["layers"], plan)
    names = [str(phase["phase"]) for phase in phases]
    accuracies = [100 * phase["top1"] for phase in phases]
    _draw_bars(panels["accuracy"], "test top-1 (%)", names, accuracies, [f"{value:.1f} %" for value in accuracies])
    sizes = [phase["params"] for phase in phases]
    _draw_bars(panels["size"], "parameters", names, sizes, [f"{value:,}" for value in sizes])
    open_axes(*panels.values())
    write_figure(figure, target, dpi=120)


def _draw_layers(axes: Any, plan: PrunePlan) -> None:
    positions = range(len(plan.groups))
    axes.bar(positions, [group.total for group in plan.groups], color=GONE, label="removed")
    axes.bar(positions, [len(group.keep) for group in plan.groups], color=KEPT, label="kept")
    axes.set_xticks(positions, [group.name for group in plan.groups], rotation=60, ha="right", fontsize=8)
    axes.set_ylabel("channels")
    axes.set_title(f"{plan.kept:,} of {plan.total:,} channels kept", loc="left")
    axes.legend(frameon=False)


def _draw_bars(axes: Any, title: str, names: list[str], values: list[float], labels: list[str]) -> None:
    bars = axes.bar(range(len(values)), values, color=KEPT, width=0.6)
    axes.bar_label(bars, labels, fontsize=8, padding=2)
    axes.margins(y=0.12)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_title(f"{title} after each phase", loc="left")
