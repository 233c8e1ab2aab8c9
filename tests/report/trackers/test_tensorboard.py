"""Tracker `tensorboard`: what its own reader finds in the files."""

from pathlib import Path

import pytest

from netslim.report.trackers import TrackedRun
from netslim.report.trackers.tensorboard import FOLDER, TensorBoard

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = accumulator.EventAccumulator(str(folder / FOLDER))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_rows_and_result(tmp_path: Path) -> None:
    board = TensorBoard(TrackedRun(folder=tmp_path, run_id="a", settings={"lr": 0.5}))
    board.log({"loss": 2.0, "top1": 0.25}, 0)
    board.log({"loss": 1.0, "top1": 0.5}, 1)
    board.finish({"test_top1": 0.5})
    assert scalars(tmp_path) == {
        "loss": [(0, 2), (1, 1)],
        "top1": [(0, 0.25), (1, 0.5)],
        "result/test_top1": [(1, 0.5)],
    }


def test_what_is_written_again_counts_once(tmp_path: Path) -> None:
    cut = TensorBoard(TrackedRun(folder=tmp_path, run_id="a", settings={}))
    for step in range(3):
        cut.log({"loss": 4.0 - step}, step)
    cut.finish({})
    on = TensorBoard(TrackedRun(folder=tmp_path, run_id="a", settings={}, first=2))
    on.log({"loss": 0.5}, 2)
    on.finish({})
    assert scalars(tmp_path) == {"loss": [(0, 4), (1, 3), (2, 0.5)]}
