"""The folder of a training run: who may have it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from netslim.core.errors import NetslimError, UsageError
from netslim.core.processes.signals import Stopped

Train = Callable[..., dict[str, Any]]


CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"


def test_after_a_mistake_the_folder_is_free_for_the_corrected_command(run_train: Train, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run_train(save=tmp_path / "run", depth=12)
    run_train(save=tmp_path / "run", epochs=1)


def test_a_busy_folder(run_train: Train, tmp_path: Path) -> None:
    save = tmp_path / "run"
    save.mkdir()
    with FileLock(save / ".lock"), pytest.raises(UsageError) as error:
        run_train(save=save)
    assert str(error.value) == f"{save} is in use by another process; wait for it or give another `save`"


def test_a_folder_with_someone_elses_files(run_train: Train, tmp_path: Path) -> None:
    (tmp_path / BEST).write_text("precious")
    with pytest.raises(UsageError, match=rf"already holds {BEST}, which no run of netslim wrote there"):
        run_train(save=tmp_path)
    assert (tmp_path / BEST).read_text() == "precious"


def test_a_folder_that_can_not_be_made(run_train: Train, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NetslimError, match=r"^cannot write .*/file/run: .*/file is a file, and "):
        run_train(save=tmp_path / "file" / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(run_train: Train, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(NetslimError, match=r"^cannot write .*: Permission denied; nothing was changed$"):
            run_train(save=tmp_path / "run")
    finally:
        tmp_path.chmod(0o700)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_the_same_command_after_the_end_says_so_and_changes_nothing(
    run_train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save = tmp_path / "run"
    first = run_train(save=save)
    before = snapshot(save)
    capsys.readouterr()
    assert run_train(save=save, log_interval=3, test_batch_size=7) == first  # both are free to differ
    assert snapshot(save) == before
    out = capsys.readouterr().out
    assert out.startswith(f"{save} is finished (best val top-1 ")
    assert out.endswith("; nothing to do\n")


def test_other_settings_in_the_same_folder_are_refused_by_name(run_train: Train, tmp_path: Path) -> None:
    save = tmp_path / "run"
    run_train(save=save, epochs=1)
    before = snapshot(save)
    with pytest.raises(UsageError) as error:
        run_train(save=save, epochs=3, lr=0.2)
    assert str(error.value) == (
        f"{save} holds another run (epochs: 1 there, 3 now; lr: 0.05 there, 0.2 now); give another `save`, repeat that "
        f"run's settings to go on with it, or delete the folder"
    )
    assert snapshot(save) == before


def test_a_start_file_whose_content_changed_is_refused(run_train: Train, trained: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.pth.tar"
    start.write_bytes((trained / BEST).read_bytes())
    run_train(save=tmp_path / "run", resume=start, epochs=1)
    start.write_bytes((trained / CHECKPOINT).read_bytes())
    with pytest.raises(UsageError, match=r"holds another run \(resume: .*start\.pth\.tar \(\w{8}\) there, "):
        run_train(save=tmp_path / "run", resume=start, epochs=1)


def test_the_start_file_may_move_and_may_be_gone_once_the_run_is_done(
    run_train: Train, trained: Path, tmp_path: Path
) -> None:
    start = tmp_path / "start.pth.tar"
    start.write_bytes((trained / BEST).read_bytes())
    first = run_train(save=tmp_path / "run", resume=start, epochs=1)
    assert run_train(save=tmp_path / "run", resume=trained / BEST, epochs=1) == first
    start.unlink()
    assert run_train(save=tmp_path / "run", resume=start, epochs=1) == first


@pytest.mark.parametrize("name", [CHECKPOINT, BEST])
def test_resume_from_the_own_folder_asks_for_the_run_that_is_there(
    run_train: Train, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save = tmp_path / "run"
    first = run_train(save=save, epochs=1)
    assert run_train(save=save, epochs=1, resume=save / name) == first
    assert "nothing to do" in capsys.readouterr().out


def test_a_signal_outside_of_the_epochs_leaves_a_page_too(
    run_train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise Stopped(2)

    page = tmp_path / "run" / "report.html"
    monkeypatch.setattr("netslim.stages.train.run.Phase._finish", stopped)
    with pytest.raises(Stopped):
        run_train(save=tmp_path / "run", epochs=1)
    assert "Half-finished; it goes on with" in page.read_text()
    monkeypatch.setattr("netslim.stages.train.run.start_model", stopped)
    with pytest.raises(Stopped):
        run_train(save=tmp_path / "new", epochs=1)
    assert not (tmp_path / "new").exists()
