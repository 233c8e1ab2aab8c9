"""Which runs stand on a page, in which order."""

import shutil
from pathlib import Path

import pytest
from page_runs import write_run

from netslim.core.errors import NetslimError, UsageError
from netslim.report.page.chain import runs_in, story


def names(folders: list[Path]) -> list[str]:
    return [run.name for run in runs_in(folders)]


def test_runs_come_in_the_order_of_the_work_however_they_are_named(chain: list[Path], tmp_path: Path) -> None:
    ordered = ["dense", "sparse", "pruned", "fine"]
    assert names(chain[::-1]) == names([tmp_path]) == names([chain[-1]]) == ordered
    assert names([chain[1]]) == ordered[:2]


def test_folders_that_were_moved_together_still_belong_together(chain: list[Path], tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for folder in chain:
        shutil.move(folder, moved / folder.name)
    assert names([moved / "fine"]) == ["dense", "sparse", "pruned", "fine"]


def test_a_folder_of_runs_may_be_a_run_itself(chain: list[Path], tmp_path: Path) -> None:
    write_run(tmp_path, "slim", started="2025-01-01T00:00:00+00:00")
    assert names([tmp_path]) == [tmp_path.name, "dense", "sparse", "pruned", "fine"]


def test_the_story_is_that_of_the_last_run_and_others_are_not_in_it(chain: list[Path], tmp_path: Path) -> None:
    write_run(tmp_path / "another", started="2025-01-01T00:00:00+00:00")
    runs = runs_in([tmp_path])
    assert [run.name for run in story(runs)] == ["dense", "sparse", "pruned", "fine"]
    assert "another" in [run.name for run in runs]


def test_runs_that_name_each_other_end(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        write_run(tmp_path / name, parents={"resume": {"path": str(tmp_path / other / "model_best.pth.tar")}})
    assert sorted(names([tmp_path / "a"])) == ["a", "b"]
    assert len(story(runs_in([tmp_path]))) == 2


def test_earlier_runs_that_are_gone_or_damaged_are_left_out(chain: list[Path]) -> None:
    (chain[1] / "run.json").write_text("{")
    assert names([chain[3]]) == ["pruned", "fine"]
    shutil.rmtree(chain[2])
    assert names([chain[3]]) == ["fine"]


def test_what_is_no_run_is_said(chain: list[Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty holds no run of netslim \(no run\.json in it or in its sub-folders\)"):
        runs_in([tmp_path / "empty"])
    with pytest.raises(UsageError, match=r"nothing is not there$"):
        runs_in([tmp_path / "nothing"])
    with pytest.raises(UsageError, match=r"run\.json is a file: name the folder that it lies in$"):
        runs_in([chain[0] / "run.json"])
    (chain[0] / "run.json").write_text("{")
    with pytest.raises(NetslimError, match=r"run\.json can't be read \(.*\): name the folder of a run$"):
        runs_in([chain[0]])
