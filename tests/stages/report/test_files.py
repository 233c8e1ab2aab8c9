"""Where the networks of runs are found, also after a move."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from netslim.report.page.findings import Findings
from netslim.report.page.run_folder import Run, read_run
from netslim.report.page.story import Story
from netslim.stages.report.files import large_file, origin_file, small_file


def write(folder: Path, stage: str, name: str, **parents: Path | str) -> Run:
    """A run that left a network of this name."""
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"x")
    record: dict[str, Any] = {"run_id": "a", "stage": stage, "status": "finished", "config": {}}
    record["parents"] = {key: {"path": str(path), "sha256": "00"} for key, path in parents.items()}
    (folder / "run.json").write_text(json.dumps(record))
    return read_run(folder)


def told(*runs: Run) -> Story:
    return Story(runs, Findings())


def both(root: Path) -> tuple[Run, Run]:
    dense = write(root / "dense", "train", "model_best.pth.tar")
    return dense, write(root / "pruned", "prune", "pruned.pth.tar", model=dense.folder / "model_best.pth.tar")


def test_the_large_network_is_what_was_pruned_and_the_small_one_what_came_of_it(tmp_path: Path) -> None:
    story = told(*both(tmp_path))
    assert large_file(story) == tmp_path / "dense" / "model_best.pth.tar"
    assert small_file(story) == tmp_path / "pruned" / "pruned.pth.tar"
    (tmp_path / "pruned" / "pruned.pth.tar").unlink()
    assert small_file(story) is None


def test_without_a_pruning_there_is_no_large_one(tmp_path: Path) -> None:
    story = told(write(tmp_path / "dense", "train", "model_best.pth.tar"))
    assert large_file(story) is None
    assert small_file(story) == tmp_path / "dense" / "model_best.pth.tar"
    assert small_file(told(write(tmp_path / "sweep", "sweep", "sweep.csv"))) is None


def test_folders_that_were_moved_together_find_each_other(tmp_path: Path) -> None:
    both(tmp_path / "old")
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert origin_file(read_run(tmp_path / "new" / "pruned")) == tmp_path / "new" / "dense" / "model_best.pth.tar"
    shutil.move(tmp_path / "new" / "dense" / "model_best.pth.tar", tmp_path / "new" / "model_best.pth.tar")
    assert origin_file(read_run(tmp_path / "new" / "pruned")) == tmp_path / "new" / "model_best.pth.tar"


@pytest.mark.parametrize("name", ["gone.pth.tar", "a" * 5000, "a\0b"])
def test_a_file_that_is_not_there_or_can_not_be(tmp_path: Path, name: str) -> None:
    assert origin_file(write(tmp_path / "run", "prune", "pruned.pth.tar", model=name)) is None
