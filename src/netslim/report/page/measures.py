"""How accurate networks are, as runs recorded it, and how that is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netslim.report.page.run_folder import EpochRow, Numbers, Run


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What the networks of a page are judged by.

    Attributes:
        label: its name.
        is_share: top-1, which lies between 0 and 1 and is counted.
        in_percent: whether it is shown so; other numbers are shown as they are.
    """

    label: str
    is_share: bool
    in_percent: bool

    def shown(self, value: float, digits: int = 1) -> str:
        """The value as tables have it."""
        return f"{100 * value:.{digits}f} %" if self.in_percent else f"{value:.4g}"

    def tick(self, value: float) -> str:
        """The value beside an axis."""
        return f"{100 * value:g} %" if self.in_percent else f"{value:g}"

    def change(self, before: float, after: float) -> str:
        """How much more or less it is, with its sign."""
        if not self.in_percent:
            return f"{after - before:+.4g}".replace("-", "−")
        return f"{100 * (after - before):+.1f} points".replace("-", "−")


def measure_of(runs: Sequence[Run]) -> Measure:
    """What these runs were judged by."""
    for run in reversed(runs):
        found = run.numbers
        if any(value is not None for value in (found.test_metric, found.metric, found.best_metric)):
            label = found.shown.label if found.shown else found.metric_name
            in_percent = found.shown is not None and found.shown.test.endswith("%")
            return Measure(label=label, is_share=False, in_percent=in_percent)
        if found.test_top1 is not None or found.top1 is not None:
            break
    return Measure(label="top-1", is_share=True, in_percent=True)


def on_test(found: Numbers) -> float | None:
    """What the network of a run gets on the test images."""
    return _first(found.test_top1, found.test_metric, found.top1, found.metric)


def before_cut(found: Numbers) -> float | None:
    """What the network got on the test images before a pruning."""
    return _first(found.top1_before, found.metric_before)


def masked(found: Numbers) -> float | None:
    """What it got with the channels silenced, before anything was repaired."""
    return _first(found.top1_masked, found.metric_masked)


def per_epoch(rows: Sequence[EpochRow]) -> tuple[float, ...]:
    """The values on the images that choose the epoch."""
    return _column(rows, lambda row: _first(row.top1, row.metric))


def while_training(rows: Sequence[EpochRow]) -> tuple[float, ...]:
    """The values on the training images, where they were counted."""
    return _column(rows, lambda row: row.train_top1)


def higher_is_better(runs: Sequence[Run]) -> bool | None:
    """Which way a metric that is no share goes, by the epochs that were the best; None where they don't say."""
    for run in runs:
        values, best = per_epoch(run.rows), run.numbers.best_metric
        if best is not None and values and min(values) < max(values) and best in (min(values), max(values)):
            return best == max(values)
    return None


def _column(rows: Sequence[EpochRow], get: Callable[[EpochRow], float | None]) -> tuple[float, ...]:
    values = [get(row) for row in rows]
    return tuple(value for value in values if value is not None)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
