"""Accuracy against epochs, from results/real.csv -> docs/real.png. `make tables` makes the tables beside it.

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
    "netslim, by sensitivity": "#6A3D9A",
    "netslim, no reconstruction": SERIES[5],
    "netslim, sparsity": SERIES[2],
    "original rule": SERIES[4],
    "original rule, sparsity": SERIES[3],
    "Torch-Pruning magnitude": SERIES[1],
    "Torch-Pruning BNScale": FAINT_INK,
}


def main() -> None:
    with (ROOT / "results" / "real.csv").open(newline="") as file:
        rows: list[Any] = by_starting_point(csv.DictReader(file))
    dense = {row["network"]: 100 * float(row["top1_dense"]) for row in rows}
    shares = sorted({float(row["share"]) for row in rows if row["share"]})
    panels = [(network, share, teacher) for network in dense for share in shares for teacher in (False, True)]
    found = {panel: curves(rows, *panel[:2], teacher=panel[2]) for panel in panels}
    drawn = [panel for panel in panels if found[panel]]
    across = min(2, len(drawn))
    down = -(-len(drawn) // across)
    figure = Figure(figsize=(5.2 * across, 3.9 * down), layout="constrained")
    cells = figure.subplots(down, across, squeeze=False).ravel()
    for axes, panel in zip(cells, drawn, strict=False):
        draw(axes, panel, found[panel], dense[panel[0]])
    for axes in cells[len(drawn) :]:
        axes.set_axis_off()
    handles = {text: handle for axes in cells for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), frameon=False, fontsize=8, ncols=3, loc="outside lower center")
    write_figure(figure, ROOT / "docs" / "real.png", dpi=130)


def draw(axes: Any, panel: tuple[str, float, bool], found: dict[str, Curve], dense: float) -> None:
    """One panel: a curve for each way, with the spread over the seeds."""
    network, share, teacher = panel
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
    with_teacher = "with" if teacher else "without"
    axes.set_title(f"{network}, {100 * share:.0f} % of the MACs, {with_teacher} teacher", loc="left", fontsize=10)
    open_axes(axes, grid=True)


if __name__ == "__main__":
    main()
