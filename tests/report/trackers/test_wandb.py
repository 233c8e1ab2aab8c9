"""Tracker `wandb`, with its package and without a network."""

import time
from pathlib import Path

import pytest

from netslim.report.trackers import TrackedRun
from netslim.report.trackers.wandb import WeightsAndBiases

wandb = pytest.importorskip("wandb")


@pytest.mark.slow
def test_an_offline_run_is_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = WeightsAndBiases(TrackedRun(folder=tmp_path, run_id="abc", settings={"lr": 0.1}))
    run.log({"loss": 0.123456}, 0)
    run.finish({"test_top1": 0.5})
    wandb.teardown()  # its own process writes the record, and may lag behind
    (record,) = tmp_path.glob("wandb/offline-run-*-abc/run-abc.wandb")
    for _ in range(600):
        content = record.read_bytes()
        if b"result/test_top1" in content:
            break
        time.sleep(0.1)
    assert b"0.123456" in content
    assert b"result/test_top1" in content
