"""The folder of a whole run: one process at a time, and a record of it."""

import json
from pathlib import Path

import pytest

from netslim.core.errors import NetslimError, UsageError
from netslim.stages.slim.run_folder import SlimFolder, SlimRecord


def test_one_process_works_in_it_and_others_may_look(tmp_path: Path) -> None:
    with SlimFolder(tmp_path / "run") as folder:
        with pytest.raises(UsageError) as error:
            SlimFolder(tmp_path / "run")
        said = f"{tmp_path / 'run'} is in use by another process; wait for it or give another `save`"
        assert str(error.value) == said
        assert SlimFolder(tmp_path / "run", look=True).record == folder.record == SlimRecord()


def test_what_ended_before_it_began_leaves_nothing(tmp_path: Path) -> None:
    with SlimFolder(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()
    assert not (tmp_path / "run").exists()
    SlimFolder(tmp_path / "run", look=True)
    assert not (tmp_path / "run").exists()


def test_a_record_says_what_was_asked_for_and_what_came_of_it(tmp_path: Path) -> None:
    with SlimFolder(tmp_path / "run") as folder:
        folder.begin({"percent": 0.5}, {"folders": ["."], "recipe": {"version": 1}}, "version = 1\n", None)
        assert json.loads((tmp_path / "run" / "slim.json").read_text())["status"] == "running"
        folder.finish({"rows": [1]})
    record = SlimFolder(tmp_path / "run", look=True).record
    assert (record.status, record.asked, record.folders, record.result) == (
        "finished",
        {"percent": 0.5},
        ["."],
        {"rows": [1]},
    )
    assert (tmp_path / "run" / "recipe.toml").read_text() == "version = 1\n"


def test_the_users_recipe_is_copied_from_elsewhere_and_left_alone_where_it_lies(tmp_path: Path) -> None:
    given = tmp_path / "run" / "recipe.toml"
    given.parent.mkdir()
    given.write_text("# mine\n")
    with SlimFolder(tmp_path / "run") as folder:
        folder.begin({}, {}, "version = 1\n", given)
    assert given.read_text() == "# mine\n"
    with SlimFolder(tmp_path / "other") as folder:
        folder.begin({}, {}, "version = 1\n", given)
    assert (tmp_path / "other" / "recipe.toml").read_text() == "version = 1\n"


def test_a_network_that_no_recipe_left_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "small.pth.tar").write_text("x")
    with pytest.raises(UsageError, match=r"holds a small\.pth\.tar that no recipe left there; give another `save`$"):
        SlimFolder(tmp_path)
    assert (tmp_path / "small.pth.tar").read_text() == "x"
    (tmp_path / "recipe.toml").write_text("")
    with SlimFolder(tmp_path) as folder:
        assert folder.record == SlimRecord()


@pytest.mark.parametrize("text", ["{", "[]", '{"folders": 1}'])
def test_a_damaged_record_says_what_to_do_and_is_not_locked(tmp_path: Path, text: str) -> None:
    (tmp_path / "slim.json").write_text(text)
    for _ in range(2):
        with pytest.raises(NetslimError, match=r"slim\.json can't be read .*; delete it: finished steps stay$"):
            SlimFolder(tmp_path)


def test_the_folder_of_another_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UsageError, match=r"is the folder of another run; give another `save`$"):
        SlimFolder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", ".lock"}
