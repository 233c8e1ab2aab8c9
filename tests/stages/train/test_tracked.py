"""`netslim train --track`: the rows of `metrics.jsonl` go elsewhere, too."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import UsageError
from netslim.report.trackers.tensorboard import FOLDER

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def test_the_rows_and_the_result(run_train: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    result = run_train(save=tmp_path / "run", track="tensorboard")
    events = accumulator.EventAccumulator(str(tmp_path / "run" / FOLDER))
    events.Reload()
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([row["loss"] for row in rows])
    assert [event.step for event in events.Scalars("loss")] == [0, 1]
    assert events.Scalars("result/params")[0].value == result["params"]


def test_an_unknown_tracker_before_anything_is_made(run_train: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^unknown tracker 'tensorbord'; did you mean tensorboard\?"):
        run_train(save=tmp_path / "run", track="tensorbord")
    assert not (tmp_path / "run").exists()
