"""Tracker `trackio`, with its package and its data base on this machine."""

import importlib
from pathlib import Path

import pytest

from netslim.report.trackers import TrackedRun
from netslim.report.trackers.trackio import Trackio

pytest.importorskip("trackio")


@pytest.mark.slow
def test_the_rows_are_in_its_data_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_PROJECT", "mine")
    storage = importlib.import_module("trackio.sqlite_storage")
    for module in (storage, importlib.import_module("trackio.utils")):
        monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path)
    run = Trackio(TrackedRun(folder=Path("runs/x"), run_id="abc", settings={"lr": 0.1}))
    run.log({"loss": 2.0}, 0)
    run.log({"loss": 1.0}, 1)
    run.finish({"test_top1": 0.5})
    rows = storage.SQLiteStorage.get_logs("mine", "x-abc")
    assert [row["loss"] for row in rows if "loss" in row] == [2.0, 1.0]
    assert rows[-1]["result/test_top1"] == 0.5
