"""Tracker `mlflow`, with its package and a store in a folder."""

from pathlib import Path

import pytest

from netslim.report.trackers import TrackedRun
from netslim.report.trackers.mlflow import MLflow


def test_a_run_that_was_cut_off_goes_on_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    cut = MLflow(TrackedRun(folder=Path("runs/x"), run_id="abc", settings={"lr": 0.1, "arch": "a" * 900}))
    cut.log({"loss": 2.0}, 0)
    cut.finish({})
    on = MLflow(TrackedRun(folder=Path("runs/x"), run_id="abc", settings={"lr": 0.1}, first=1))
    on.log({"loss": 1.0}, 1)
    on.finish({"test_top1": 0.5})
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("mine").experiment_id
    (run,) = client.search_runs([experiment])
    assert [metric.value for metric in client.get_metric_history(run.info.run_id, "loss")] == [2.0, 1.0]
    assert (run.info.status, run.info.run_name, run.data.params["lr"]) == ("FINISHED", "x", "0.1")
    assert run.data.metrics["result/test_top1"] == 0.5
