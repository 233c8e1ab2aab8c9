"""Accuracy against epochs, from results/real.csv -> docs/real.png. `make tables` makes the tables beside it.

Drawn are the trainings without teacher at the smallest share of the MACs; the tables have all.

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
COLOURS = {
    "netslim": SERIES[0],
    "netslim, group_l2_norm by sensitivity": INK,
    "netslim, group_l2_norm by sensitivity, sparsity": "#A09000",
    "netslim, by sensitivity": "#6A3D9A",
    "netslim, no reconstruction": SERIES[5],
    "netslim, group_l2_norm by sensitivity, coupled": "#8C564B",
    "netslim, group_l2_norm by sensitivity, coupled, fitted": SERIES[2],
    "original rule": SERIES[4],
    "original rule, sparsity": SERIES[3],
    "Torch-Pruning magnitude": SERIES[1],
    "Torch-Pruning BNScale": FAINT_INK,
}


def main() -> None:
    with (ROOT / "results" / "real.csv").open(newline="") as file:
        rows: list[Any] = by_starting_point(csv.DictReader(file))
    dense = {row["network"]: 100 * float(row["top1_dense"]) for row in rows}
    share = min(float(row["share"]) for row in rows if row["share"])
    down = -(-len(dense) // 2)
    figure = Figure(figsize=(10.4, 3.6 * down), layout="constrained")
    cells = figure.subplots(down, 2, squeeze=False).ravel()
    for axes, (network, top1) in zip(cells, dense.items(), strict=False):
        draw(axes, f"{network}, {100 * share:.0f} % of the MACs", curves(rows, network, share, teacher=False), top1)
    for axes in cells[len(dense) :]:
        axes.set_axis_off()
    handles = {text: handle for axes in cells for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), frameon=False, fontsize=8, ncols=2, loc="outside lower center")
    write_figure(figure, ROOT / "docs" / "real.png", dpi=130)


def draw(axes: Any, title: str, found: dict[str, Curve], dense: float) -> None:
    """One panel: a curve for each way, with the spread over the seeds."""
    axes.axhline(dense, color=FAINT_INK, linewidth=1, linestyle=":", label="unpruned")
    for way in (name for name in COLOURS if name in found):
        curve = found[way]
        lengths = sorted(curve.top1)
        values = [[100 * value for value in curve.top1[length]] for length in lengths]
        axes.errorbar(
            [curve.before + length for length in lengths], [statistics.mean(of) for of in values],
            [statistics.stdev(of) if len(of) > 1 else 0 for of in values],
            color=COLOURS[way], marker="o", markersize=4, linewidth=1.4, capsize=2, label=way,
        )  # fmt: skip
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xticks([0, 1, 3, 5, 7, 15], ["0", "1", "3", "5", "7", "15"])
    axes.minorticks_off()
    axes.set_xlim(-0.1, 19)
    axes.set_ylim(dense - BELOW, dense + 1)
    axes.set_xlabel("epochs of training spent")
    axes.set_ylabel("test top-1 (%)")
    axes.set_title(title, loc="left", fontsize=10)
    open_axes(axes, grid=True)


if __name__ == "__main__":
    main()
