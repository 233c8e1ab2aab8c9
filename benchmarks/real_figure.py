"""Accuracy against epochs, from results/real.csv -> docs/real.png. `make tables` makes the tables beside it.

Drawn are trainings without teacher at the smallest share of the MACs, and of all ways four; the tables have the rest.

python benchmarks/real_figure.py
"""

import csv
import statistics
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from netslim.report.figures.style import FAINT_INK, INK, SERIES, open_axes, write_figure
from real_rows import Curve, by_starting_point, curves

ROOT = Path(__file__).parent.parent
BELOW = 16.0  # percentage points under the unpruned network that are shown
SENSITIVITY = "netslim, group_l2_norm by sensitivity"
LINES = {  # colour, and the way; where there are several, the first that a network has
    "netslim (--allocation sensitivity)": (INK, (f"{SENSITIVITY}, coupled", SENSITIVITY)),
    "netslim, layers fitted (--reconstruct)": (SERIES[2], (f"{SENSITIVITY}, coupled, fitted", "netslim")),
    "Torch-Pruning (magnitude)": (SERIES[1], ("Torch-Pruning magnitude",)),
    "original rule (smallest BatchNorm scales)": (SERIES[4], ("original rule",)),
}
TITLES = {"resnet20": "ResNet-20", "resnet56": "ResNet-56", "preresnet29": "pre-activation ResNet-29"}


def main() -> None:
    with (ROOT / "results" / "real.csv").open(newline="") as file:
        rows: list[Any] = by_starting_point(csv.DictReader(file))
    dense = {row["network"]: 100 * float(row["top1_dense"]) for row in rows}
    share = min(float(row["share"]) for row in rows if row["share"])
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    panels = figure.subplots(1, len(dense), squeeze=False).ravel()
    for axes, (network, top1) in zip(panels, dense.items(), strict=True):
        title = f"{TITLES.get(network, network)}, {100 * share:.0f} % of the MACs"
        draw(axes, title, curves(rows, network, share, teacher=False), top1)
    panels[0].set_ylabel("test top-1 (%)")
    handles = {text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), frameon=False, fontsize=9, ncols=3, loc="outside lower center")
    write_figure(figure, ROOT / "docs" / "real.png", dpi=130)


def draw(axes: Any, title: str, found: dict[str, Curve], dense: float) -> None:
    """One panel: a curve for each way, with the spread over the seeds."""
    axes.axhline(dense, color=FAINT_INK, linewidth=1, linestyle=":", label="unpruned")
    for name, (colour, ways) in LINES.items():
        way = next((way for way in ways if way in found), None)
        if way is None:
            continue
        lengths = sorted(found[way].top1)
        values = [[100 * value for value in found[way].top1[length]] for length in lengths]
        axes.errorbar(
            lengths, [statistics.mean(of) for of in values],
            [statistics.stdev(of) if len(of) > 1 else 0 for of in values],
            color=colour, marker="o", markersize=4, linewidth=1.4, capsize=2, label=name,
        )  # fmt: skip
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xticks([0, 1, 5, 15], ["0", "1", "5", "15"])
    axes.minorticks_off()
    axes.set_xlim(-0.1, 19)
    axes.set_ylim(dense - BELOW, dense + 1)
    axes.set_xlabel("epochs of fine-tuning")
    axes.set_title(title, loc="left", fontsize=10)
    open_axes(axes, grid=True)


if __name__ == "__main__":
    main()
