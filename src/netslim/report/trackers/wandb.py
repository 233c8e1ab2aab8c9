"""Tracker `wandb`: Weights & Biases; WANDB_PROJECT, WANDB_MODE and its other variables hold."""

import os
from collections.abc import Mapping

from netslim.report.trackers.tracker import TRACKERS, TrackedRun, TrackerSpec


class WeightsAndBiases:
    """A run under netslim's own id, so that it goes on there as it does here."""

    def __init__(self, run: TrackedRun) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "netslim"),
            id=run.run_id,
            name=run.name,
            dir=run.folder,
            config=dict(run.settings),
            resume="allow",
        )

    def log(self, row: Mapping[str, float], step: int) -> None:
        """A step of the run."""
        self._run.log(dict(row), step=step)

    def finish(self, result: Mapping[str, float]) -> None:
        """The result is the run's summary."""
        self._run.summary.update({f"result/{name}": value for name, value in result.items()})
        self._run.finish(exit_code=0 if result else 1)


TRACKERS.register("wandb")(TrackerSpec(start=WeightsAndBiases, module="wandb", summary="Weights & Biases"))
