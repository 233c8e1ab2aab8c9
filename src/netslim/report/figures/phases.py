"""The picture of a whole workflow: what each phase did."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from netslim.core.protocols import PrunePlan
from netslim.report.figures.style import FAINT_INK, INK, open_axes, write_figure
from netslim.report.page.drawings.axes import lowest_shown
from netslim.report.page.plan_file import place_of
from netslim.report.tables import percent, size

KEPT, GONE = "#2a6f97", "#d9dde1"
LABELS = {  # for people who know none of the words
    "transfer": "move weights\nover",
    "fine-tune": "train",
    "sparsity": "train with\na penalty",
    "prune": "remove\nchannels",
    "fine-tune pruned": "train what\nis left",
    "bn": "before the\nclassifier",
}
_ABOVE: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 9}
SPAN = 4.0  # points of accuracy that the axis shows at least: fewer would make an image or two look like a lot


def draw_phases(phases: Sequence[Mapping[str, Any]], plan: PrunePlan, target: Path) -> None:
    """Writes a PNG: channels of each layer above, accuracy, parameters and MACs after each phase below.

    Args:
        phases: rows with `phase`, `top1` (0 to 1), `params` and `macs`.
        plan: what was removed.
        target: the PNG file.

    Raises:
        NetslimError: the file can't be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(12, 7.6), layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.1))
    panels = figure.subplot_mosaic([["layers"] * 3, ["top1", "params", "macs"]], height_ratios=[1, 0.9])
    figure.suptitle(_title(phases, plan), x=0.008, ha="left", fontsize=15, fontweight="bold", color=INK)
    _draw_layers(panels["layers"], plan)
    names = [LABELS.get(str(phase["phase"]), str(phase["phase"])) for phase in phases]
    _draw_accuracies(panels["top1"], names, [100 * phase["top1"] for phase in phases])
    for key, title in (("params", "Parameters"), ("macs", "MACs per image")):
        _draw_bars(panels[key], title, names, [phase[key] for phase in phases], size)
    open_axes(*panels.values())
    write_figure(figure, target, dpi=120)


def _title(phases: Sequence[Mapping[str, Any]], plan: PrunePlan) -> str:
    before, after = plan.before, plan.after
    return (
        f"A small network in {len(phases)} steps: {percent(after.params / before.params, 0)} of the parameters, "
        f"{percent(after.macs / before.macs, 0)} of the MACs, test accuracy {percent(phases[-1]['top1'], 1)}"
    )


def _draw_layers(axes: Any, plan: PrunePlan) -> None:
    """A column per layer, those of a block close together under the block's name."""
    at, places, ticks, names = 0.0, [], [], []
    for block, layers in groupby(plan.groups, key=lambda group: place_of(group.name)[:2]):
        count = len([*layers])
        own = [at + number for number in range(count)]
        places += own
        ticks.append(sum(own) / count)
        names.append("\nblock ".join(word for word in block if word) if block[0] else LABELS.get(block[1], block[1]))
        at += count + 0.8
    kept, total = [len(group.keep) for group in plan.groups], [group.total for group in plan.groups]
    bars = axes.bar(places, total, color=GONE, width=0.86, label="removed")
    axes.bar(places, kept, color=KEPT, width=0.86, label="kept: the number above")
    if len(places) <= 40:  # more do not fit
        axes.bar_label(bars, [str(number) for number in kept], fontsize=8.5, padding=1, color=KEPT)
    axes.set_xticks(ticks, names, fontsize=9, rotation=90 if len(ticks) > 20 else 0)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("channels")
    axes.margins(x=0.01)
    axes.set_title(f"Channels of each layer: {plan.kept:,} of {plan.total:,} are kept", loc="left", fontsize=12)
    axes.legend(frameon=False, loc="upper left")


def _draw_accuracies(axes: Any, names: list[str], values: list[float]) -> None:
    """Points on an axis that begins where differences can be seen; what lies below is named at its foot."""
    top = max(values)
    low = min(lowest_shown(values, values[-1:], 0.25), top - SPAN)
    foot = low + 0.04 * (top - low)
    axes.plot([max(value, foot) for value in values], color=GONE, linewidth=1.5, zorder=1)
    for place, value in enumerate(values):
        marker = "v" if value < low else "o"
        axes.plot(place, max(value, foot), color=KEPT, marker=marker, markersize=7)
        axes.annotate(f"{value:.1f} %", (place, max(value, foot)), (0, 9), **_ABOVE)
    axes.set_ylim(low, top + 0.15 * (top - low))
    axes.set_xlim(-0.5, len(values) - 0.5)
    _finish(axes, f"Test accuracy (%): the axis begins at {low:.0f} %", names)


def _draw_bars(axes: Any, title: str, names: list[str], values: list[float], shown: Callable[[float], str]) -> None:
    bars = axes.bar(range(len(values)), values, color=KEPT, width=0.62)
    axes.bar_label(bars, [shown(value) for value in values], fontsize=9, padding=2)
    axes.margins(y=0.12)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    _finish(axes, title, names)


def _finish(axes: Any, title: str, names: list[str]) -> None:
    axes.set_xticks(range(len(names)), names, fontsize=8.5, color=FAINT_INK)
    axes.tick_params(axis="x", length=0)
    axes.set_title(title, loc="left", fontsize=12)
