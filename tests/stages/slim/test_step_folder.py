"""What is done again, moved away and taken back, with a verb that only writes its file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.stages.slim.recipe import recipe_of
from netslim.stages.slim.settings import Planned, planned
from netslim.stages.slim.step_folder import identity_of, is_done, read_record, run_step
from netslim.stages.stage import Stage

Make = Callable[..., Planned]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The percent of every step that did something: it writes that into its file."""
    found: list[float] = []

    def write(_: Stage, config: Any) -> dict[str, Any]:
        found.append(config.percent)
        (config.save / "pruned.pth.tar").write_text(str(config.percent))
        return {"macs": 5, "file": config.save / "pruned.pth.tar"}

    monkeypatch.setattr(Stage, "run", write)
    return found


@pytest.fixture
def prune(tmp_path: Path) -> Make:
    """`prune(0.5)` is a step of a file that is there."""
    (tmp_path / "dense.pth.tar").write_bytes(b"dense")

    def make(percent: float, place: str = "02-prune") -> Planned:
        step = {"verb": "prune", "from": str(tmp_path / "dense.pth.tar"), "percent": percent}
        (found,) = planned(recipe_of({"step": [step]}), {"prune": tmp_path / "run" / place})
        return found

    return make


def test_a_finished_step_has_nothing_to_do(prune: Make, ran: list[float]) -> None:
    step = prune(0.5)
    assert not is_done(step)
    first = run_step(step)
    assert is_done(step)
    assert run_step(step) == first == {"macs": 5, "file": str(step.network)}
    assert ran == [0.5]


def test_other_settings_move_it_away_and_the_old_ones_bring_it_back(
    prune: Make, ran: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_step(prune(0.5))
    run_step(prune(0.6))
    aside = tmp_path / "run" / "earlier"
    assert f"02-prune: percent 0.5 there, 0.6 now; what is there moves to {aside}" in capsys.readouterr().out
    waiting = aside / f"prune-{identity_of(prune(0.5)).fingerprint[:8]}"
    assert (waiting / "pruned.pth.tar").read_text() == "0.5"
    run_step(prune(0.5))
    assert ran == [0.5, 0.6]
    assert (tmp_path / "run" / "02-prune" / "pruned.pth.tar").read_text() == "0.5"
    assert "was done before with these settings, and comes back from" in capsys.readouterr().out


def test_at_another_number_it_is_the_same_step(prune: Make, ran: list[float], tmp_path: Path) -> None:
    run_step(prune(0.5))
    run_step(prune(0.5, "03-prune"))
    assert ran == [0.5]
    assert [path.name for path in sorted((tmp_path / "run").iterdir())] == ["03-prune", "earlier"]


def test_another_file_to_start_from_makes_it_another_step(
    prune: Make, ran: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_step(prune(0.5))
    (tmp_path / "dense.pth.tar").write_bytes(b"another")
    assert not is_done(prune(0.5))
    run_step(prune(0.5))
    assert ran == [0.5, 0.5]
    assert "02-prune: it starts from another file; what is there moves to" in capsys.readouterr().out
    step = prune(0.5)
    (tmp_path / "dense.pth.tar").unlink()
    assert not is_done(step)
    with pytest.raises(CheckpointError, match=r"dense\.pth\.tar"):
        run_step(step)


def test_a_network_that_is_not_the_one_that_was_written_is_made_again(prune: Make, ran: list[float]) -> None:
    step = prune(0.5)
    assert step.network
    run_step(step)
    step.network.write_text("changed")
    assert not is_done(step)
    run_step(step)
    assert (ran, step.network.read_text()) == ([0.5, 0.5], "0.5")


def test_what_was_cut_goes_on_in_its_folder(prune: Make, ran: list[float]) -> None:
    step = prune(0.5)
    run_step(step)
    record = json.loads((step.folder / "step.json").read_text())
    (step.folder / "step.json").write_text(json.dumps({**record, "status": "running"}))
    (step.folder / "half").write_text("done")
    assert not is_done(step)
    run_step(step)
    assert (ran, (step.folder / "half").read_text()) == ([0.5, 0.5], "done")


def test_files_of_no_recipe_are_left_alone(prune: Make, ran: list[float]) -> None:
    step = prune(0.5)
    step.folder.mkdir(parents=True)
    (step.folder / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match=r"02-prune holds files that are of no recipe: move them, or give another"):
        run_step(step)
    assert (ran, read_record(step.folder), (step.folder / "mine.txt").read_text()) == ([], None, "x")


def test_a_damaged_record_says_what_to_do(prune: Make) -> None:
    step = prune(0.5)
    step.folder.mkdir(parents=True)
    (step.folder / "step.json").write_text("{}")
    with pytest.raises(NetslimError, match=r"step\.json can't be read .*; delete .*02-prune to run the step again$"):
        is_done(step)
