"""Tracker `trackio`: Hugging Face's, on this machine; TRACKIO_PROJECT and its other variables hold."""

import os
from collections.abc import Mapping

from netslim.report.trackers.tracker import TRACKERS, TrackedRun, TrackerSpec


class Trackio:
    """A run whose name ends in netslim's own id, so that it goes on there as it does here."""

    def __init__(self, run: TrackedRun) -> None:
        import trackio

        self._run = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", "netslim"),
            name=f"{run.name}-{run.run_id}",
            config=dict(run.settings),
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )
        self._last = run.first

    def log(self, row: Mapping[str, float], step: int) -> None:
        """A step of the run."""
        self._run.log(dict(row), step=step)
        self._last = step

    def finish(self, result: Mapping[str, float]) -> None:
        """The result, beside the last row."""
        if result:
            self._run.log({f"result/{name}": value for name, value in result.items()}, step=self._last)
        self._run.finish()


TRACKERS.register("trackio")(TrackerSpec(start=Trackio, module="trackio", summary="Hugging Face's, on this machine"))
