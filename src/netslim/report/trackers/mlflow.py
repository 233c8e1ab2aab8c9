"""Tracker `mlflow`; MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and its other variables hold."""

import os
import time
from collections.abc import Mapping
from typing import Any

from netslim.report.trackers.tracker import TRACKERS, TrackedRun, TrackerSpec

LONGEST = 500  # characters of a parameter that every store takes
RUN_ID = "netslim.run_id"


class MLflow:
    """A run that is found again by netslim's own id."""

    def __init__(self, run: TrackedRun) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient()
        experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "netslim"))
        found = self._client.search_runs([experiment], f"tags.`{RUN_ID}` = '{run.run_id}'", max_results=1)
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            made = self._client.create_run(experiment, tags={RUN_ID: run.run_id}, run_name=run.name)
            self._id = made.info.run_id
            for name, value in run.settings.items():
                self._client.log_param(self._id, name, str(value)[:LONGEST])

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def log(self, row: Mapping[str, float], step: int) -> None:
        """All numbers of a row at once."""
        self._client.log_batch(self._id, metrics=_metrics(row, step))

    def finish(self, result: Mapping[str, float]) -> None:
        """The result, and whether the run came to its end."""
        self._client.log_batch(self._id, metrics=_metrics({f"result/{name}": v for name, v in result.items()}, 0))
        self._client.set_terminated(self._id, "FINISHED" if result else "KILLED")


def _metrics(row: Mapping[str, float], step: int) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, step) for name, value in row.items()]


TRACKERS.register("mlflow")(TrackerSpec(start=MLflow, module="mlflow", summary="MLflow"))
