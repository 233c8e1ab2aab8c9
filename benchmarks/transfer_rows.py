"""What the rows of `results/transfer_whole.csv` say: a rate for each start, its curve, and how far it leads scratch."""

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

RATES = (0.1, 0.03, 0.3)
EPOCHS = (1, 3, 10, 30)
SCRATCH = "scratch"
Row = Mapping[str, Any]


def best_rate(rows: Iterable[Row], start: str) -> float:
    """The rate of a start with the highest accuracy on the images held out after one epoch, with seed 1."""
    tried = {float(row["rate"]): float(row["held_out"]) for row in rows if _rates(row) and row["start"] == start}
    return max(RATES, key=lambda rate: tried.get(rate, 0.0))


def curve(rows: Iterable[Row], start: str) -> dict[int, list[float]]:
    """Test top-1 (0 to 1) of a start at its best rate, a list over the seeds for each number of epochs."""
    return {epochs: list(found.values()) for epochs, found in _by_seed(rows, start).items()}


def leads(rows: Iterable[Row], epochs: int) -> dict[str, float]:
    """Start -> test top-1 less that of scratch after so many epochs, a mean over the seeds of both, highest first."""
    rows = list(rows)
    scratch = _by_seed(rows, SCRATCH).get(epochs, {})
    found = {}
    for start in dict.fromkeys(str(row["start"]) for row in rows):
        own = _by_seed(rows, start).get(epochs, {})
        if both := own.keys() & scratch.keys():
            found[start] = statistics.mean(own[seed] - scratch[seed] for seed in sorted(both))
    return dict(sorted(found.items(), key=lambda entry: -entry[1]))


def _by_seed(rows: Iterable[Row], start: str) -> dict[int, dict[str, float]]:
    """Epochs -> seed -> test top-1 of a start at its best rate."""
    own = [row for row in rows if row["start"] == start]
    rate, found = best_rate(own, start), dict[int, dict[str, float]]()
    for row in own:
        if float(row["rate"]) == rate:
            found.setdefault(int(row["epochs"]), {})[str(row["seed"])] = float(row["top1"])
    return found


def _rates(row: Row) -> bool:
    return (str(row["epochs"]), str(row["seed"])) == ("1", "1")
