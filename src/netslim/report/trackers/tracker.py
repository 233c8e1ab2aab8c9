"""What a tracker has to offer, and what keeps a run safe from it."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from netslim.core.errors import NetslimWarning, UsageError, first_line
from netslim.core.plugins.registry import Registry


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """What a tracker is told of a run.

    Attributes:
        folder: of the run.
        run_id: the same when the run goes on after it was cut off, so that the tracker goes on as well.
        settings: of the run, as JSON has them.
        first: number of the next row; later ones that a tracker has already are written again, to the same numbers.
    """

    folder: Path
    run_id: str
    settings: Mapping[str, Any]
    first: int = 0

    @property
    def name(self) -> str:
        """The folder's name, with that of the pruning's round that it is of."""
        above = self.folder.parent.name
        return f"{above}-{self.folder.name}" if above.startswith("round") else self.folder.name


class Tracker(Protocol):
    """One run at a tracker."""

    def log(self, row: Mapping[str, float], step: int) -> None:
        """Takes the numbers of a row; `step` counts rows from 0."""

    def finish(self, result: Mapping[str, float]) -> None:
        """Takes the run's result, empty if it was cut off, and sends what is left."""


@dataclass(frozen=True, kw_only=True)
class TrackerSpec:
    """What the file of a tracker registers.

    Attributes:
        start: begins a run there, or goes on with it.
        module: what must be importable; its name is that of the extra which installs it.
        summary: a few words for lists.
    """

    start: Callable[[TrackedRun], Tracker]
    module: str
    summary: str

    def check(self, name: str) -> None:
        """Raises UsageError if its package is not installed."""
        try:
            importlib.import_module(self.module)
        except ImportError as error:
            raise UsageError(
                f"tracker {name} needs the package {self.module}, which is not installed; "
                f"type pip install 'netslim[{name}]'"
            ) from error


TRACKERS: Registry[TrackerSpec] = Registry("tracker", "netslim.report.trackers")


class Tracking:
    """A run's rows at a tracker. What goes wrong there ends the tracking, with a warning, and never the run.

    Args:
        name: of the tracker.
        run: what it is told.

    Raises:
        UsageError: an unknown tracker.
    """

    def __init__(self, name: str, run: TrackedRun) -> None:
        spec = TRACKERS.get(name)
        self._name = name
        self._tracker: Tracker | None = None
        self._result: dict[str, float] = {}
        self._tracker = self._guarded(lambda: spec.start(run))

    def log(self, row: Mapping[str, Any], step: int) -> None:
        """Sends the numbers of a row of `metrics.jsonl`."""
        if tracker := self._tracker:
            self._guarded(lambda: tracker.log(numbers(row), step))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Notes the numbers that the run found; `close` sends them."""
        self._result = numbers(result)

    def close(self) -> None:
        """Sends what is left."""
        if tracker := self._tracker:
            self._guarded(lambda: tracker.finish(self._result))
            self._tracker = None

    def _guarded(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except Exception as error:  # whatever a foreign package or its server answers
            self._tracker = None
            warnings.warn(
                f"{self._name} takes no more rows ({type(error).__name__}: {first_line(error)}); the run goes on, and "
                f"metrics.jsonl has them all",
                NetslimWarning,
                stacklevel=2,
            )
            return None


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """What of a row is a number."""
    return {name: value for name, value in row.items() if isinstance(value, int | float)}
