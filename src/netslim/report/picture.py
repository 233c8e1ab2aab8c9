"""Pictures of a whole workflow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.core.files import check_writable
from netslim.core.protocols import PrunePlan

KEPT, GONE, LINE = "#2a6f97", "#d9dde1", "#c1440e"


def draw_phases(phases: Sequence[Mapping[str, Any]], plan: PrunePlan, target: Path) -> None:
    """Writes a PNG: kept channels of each layer above, accuracy and size of each phase below.

    Args:
        phases: rows with `phase`, `top1` (0 to 1) and `params`.
        plan: what was removed.
        target: the PNG file.

    Raises:
        NetslimError: the file can't be written.
    """
    from matplotlib.figure import Figure

    check_writable(target)
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    layers, sizes = figure.subplots(2, 1)
    _draw_layers(layers, plan)
    _draw_sizes(sizes, phases)
    figure.savefig(target, dpi=120)


def _draw_layers(axes: Any, plan: PrunePlan) -> None:
    positions = range(len(plan.groups))
    axes.bar(positions, [group.total for group in plan.groups], color=GONE, label="removed")
    axes.bar(positions, [len(group.keep) for group in plan.groups], color=KEPT, label="kept")
    axes.set_xticks(positions, [group.name for group in plan.groups], rotation=60, ha="right", fontsize=8)
    axes.set_ylabel("channels")
    axes.set_title(f"{plan.kept:,} of {plan.total:,} channels kept", loc="left")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_sizes(axes: Any, phases: Sequence[Mapping[str, Any]]) -> None:
    positions = range(len(phases))
    bars = axes.bar(positions, [phase["params"] / 1e3 for phase in phases], color=GONE, width=0.6)
    axes.bar_label(bars, [f"{phase['params']:,}" for phase in phases], fontsize=8, label_type="center")
    axes.set_xticks(positions, [phase["phase"] for phase in phases])
    axes.set_ylabel("thousand parameters")
    accuracy = axes.twinx()
    accuracy.plot(positions, [100 * phase["top1"] for phase in phases], color=LINE, marker="o")
    for position, phase in zip(positions, phases, strict=True):
        label = f"{100 * phase['top1']:.1f} %"
        accuracy.annotate(label, (position, 100 * phase["top1"]), (0, 7), textcoords="offset points", color=LINE)
    accuracy.set_ylim(0, 112)
    accuracy.set_ylabel("test top-1 (%)", color=LINE)
    axes.set_title("size (bars) and accuracy (line) of each phase", loc="left")
    for each in (axes, accuracy):
        each.spines["top"].set_visible(False)
