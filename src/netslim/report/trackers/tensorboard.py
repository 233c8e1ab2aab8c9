"""Tracker `tensorboard`: event files in the run's folder, for `tensorboard --logdir FOLDER`."""

import json
from collections.abc import Mapping

from netslim.report.trackers.tracker import TRACKERS, TrackedRun, TrackerSpec

FOLDER = "tensorboard"


class TensorBoard:
    """Scalars of each row; the settings are a text."""

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(run.folder / FOLDER, purge_step=run.first or None)
        if not run.first:
            self._writer.add_text("settings", f"```\n{json.dumps(run.settings, indent=1)}\n```")
        self._last = run.first

    def log(self, row: Mapping[str, float], step: int) -> None:
        """One scalar per number."""
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
        self._last = step

    def finish(self, result: Mapping[str, float]) -> None:
        """The result, beside the last row."""
        for name, value in result.items():
            self._writer.add_scalar(f"result/{name}", value, self._last)
        self._writer.close()


TRACKERS.register("tensorboard")(
    TrackerSpec(start=TensorBoard, module="tensorboard", summary="event files in the run's folder")
)
