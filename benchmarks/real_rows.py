"""What the rows of `results/real.csv` say: the rate that was chosen, and a curve for each way to prune."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

RATES = (0.01, 0.03, 0.1, 0.3)  # on a CPU 0.01 was tried for the pre-activation network alone
RATED_BY = ("netslim", "original rule")  # the ways whose mean chooses the rate for all
RATED_ON = {"share": 0.33, "epochs": 1, "seed": 1}
Row = Mapping[str, Any]


@dataclass
class Curve:
    """Test top-1 (0 to 1) of one way, a list over the seeds for each length of fine-tuning in epochs.

    Attributes:
        before: epochs that were spent before the cut, on sparsity.
    """

    before: int
    top1: dict[int, list[float]] = field(default_factory=dict)

    def mean(self, epochs: int) -> float:
        """Over the seeds."""
        return statistics.mean(self.top1[epochs])


def by_starting_point(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The rows of cut networks; where one was cut from several trained networks, its name says which of them it was."""
    cut = [dict(row) for row in rows if row["share"] and row["top1_dense"]]
    starts: dict[str, set[float]] = {}
    for row in cut:
        starts.setdefault(row["network"], set()).add(float(row["top1_dense"]))
    for row in cut:
        if len(starts[row["network"]]) > 1:
            row["network"] = f"{row['network']} ({100 * float(row['top1_dense']):.1f} %)"
    return cut


def chosen_rate(rows: Iterable[Row], network: str) -> float:
    """The rate of a network's fine-tunings: best on the held-out images after one epoch, in the mean of two ways."""
    sums = dict.fromkeys(RATES, 0.0)
    for row in rows:
        if row["network"] == network and _rates(row):
            sums[float(row["rate"])] += float(row["held_out"])
    return max(RATES, key=sums.__getitem__)


def _rates(row: Row) -> bool:
    known = row["way"] in RATED_BY and str(row["teacher"]) == "False"
    return known and all(float(row[name]) == value for name, value in RATED_ON.items())


def curves(
    rows: list[Row], network: str, share: float, *, teacher: bool, rate: float | None = None
) -> dict[str, Curve]:
    """By way, at the network's rate or at this one; those of before any fine-tuning belong to either."""
    rate, found = rate or chosen_rate(rows, network), dict[str, Curve]()
    for row in rows:
        if row["network"] != network or not row["share"] or float(row["share"]) != share or not row["top1"]:
            continue
        if int(row["epochs"]) and (float(row["rate"]) != rate or str(row["teacher"]) != str(teacher)):
            continue
        curve = found.setdefault(row["way"], Curve(int(row["before"])))
        curve.top1.setdefault(int(row["epochs"]), []).append(float(row["top1"]))
    return {way: curve for way, curve in found.items() if set(curve.top1) != {0}}


def is_peer(way: str) -> bool:
    """Whether this is another's way to prune."""
    return not way.startswith("netslim")


def lead(found: Mapping[str, Curve], epochs: int, way: str = "netslim") -> tuple[float, str] | None:
    """How far the mean of a way is above the best peer's after so many epochs in all, and which peer that is.

    Where a peer that was measured at all has no such run, the name says how many were compared.
    """
    others = {name: curve for name, curve in found.items() if is_peer(name) and curve.before < epochs}
    peers = {name: c.mean(epochs - c.before) for name, c in others.items() if epochs - c.before in c.top1}
    if not peers or epochs not in found.get(way, Curve(0)).top1:
        return None
    best = max(peers, key=peers.__getitem__)
    compared = f", of {len(peers)} of {len(others)} peers" if len(peers) < len(others) else ""
    return found[way].mean(epochs) - peers[best], best + compared


def epochs_until(found: Mapping[str, Curve], wanted: float) -> tuple[int, str] | None:
    """The least number of epochs in all that was measured after which a peer's mean has this top-1, and which peer."""
    reached = [
        (curve.before + epochs, way)
        for way, curve in found.items()
        for epochs in curve.top1
        if is_peer(way) and curve.mean(epochs) >= wanted
    ]
    return min(reached, default=None)
