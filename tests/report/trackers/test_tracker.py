"""What keeps a run safe from its tracker."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import NetslimWarning, UsageError
from netslim.report.trackers import TRACKERS, TrackedRun, Tracking
from netslim.report.trackers.tracker import TrackerSpec, numbers

RUN = TrackedRun(folder=Path("runs/x"), run_id="abc", settings={"lr": 0.1})


class Recorder:
    def __init__(self, run: TrackedRun) -> None:
        self.calls: list[Any] = [run]

    def log(self, row: Mapping[str, float], step: int) -> None:
        if step == 3:
            raise ConnectionError("the server is away\nsince Monday")
        self.calls.append((step, dict(row)))

    def finish(self, result: Mapping[str, float]) -> None:
        self.calls.append(dict(result))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    made: list[Recorder] = []

    def start(run: TrackedRun) -> Recorder:
        made.append(Recorder(run))
        return made[-1]

    spec = TrackerSpec(start=start, module="json", summary="")
    monkeypatch.setattr(TRACKERS, "get", lambda name: spec)
    return made


def test_numbers_of_rows_and_the_result_at_the_end(recorder: list[Recorder]) -> None:
    tracking = Tracking("recorder", RUN)
    tracking.log({"epoch": 0, "loss": 0.5, "selected_on": "val", "none": None}, 0)
    tracking.finish({"params": 7, "file": "x"})
    assert len(recorder[0].calls) == 2
    tracking.close()
    tracking.close()
    assert recorder[0].calls == [RUN, (0, {"epoch": 0, "loss": 0.5}), {"params": 7}]


def test_a_tracker_that_fails_is_left_with_one_warning(recorder: list[Recorder]) -> None:
    tracking = Tracking("recorder", RUN)
    with pytest.warns(NetslimWarning, match=r"^recorder takes no more rows \(ConnectionError: the server is away\); "):
        tracking.log({"loss": 1.0}, 3)
    tracking.log({"loss": 1.0}, 4)
    tracking.close()
    assert recorder[0].calls == [RUN]


def test_one_that_can_not_start_does_not_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(run: TrackedRun) -> Recorder:
        raise RuntimeError

    monkeypatch.setattr(TRACKERS, "get", lambda name: TrackerSpec(start=start, module="json", summary=""))
    with pytest.warns(NetslimWarning, match=r"\(RuntimeError: RuntimeError\); the run goes on"):
        Tracking("broken", RUN).log({"loss": 1.0}, 0)


def test_a_package_that_is_missing() -> None:
    spec = TrackerSpec(start=Recorder, module="no_such_package", summary="")
    expected = r"^tracker x needs the package no_such_package, which is not installed; type pip install 'netslim\[x\]'$"
    with pytest.raises(UsageError, match=expected):
        spec.check("x")


def test_what_is_a_number() -> None:
    assert numbers({"a": 1, "b": 0.5, "c": "1", "d": None, "e": [1]}) == {"a": 1, "b": 0.5}


@pytest.mark.parametrize(("folder", "name"), [("runs/dense", "dense"), ("pruned/round2/trained", "round2-trained")])
def test_rounds_of_a_pruning_have_names_of_their_own(folder: str, name: str) -> None:
    assert TrackedRun(folder=Path(folder), run_id="a", settings={}).name == name
