import hashlib
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from netslim.core.config import Setting, StageConfig, with_options
from netslim.core.errors import CheckpointError, NetslimError, NetslimWarning, UsageError
from netslim.core.plugins.declarations import Option
from netslim.core.runlog import RunDirectory, RunStatus, read_metrics

DiskFull = Callable[[int], AbstractContextManager[None]]


class Config(StageConfig):
    """A stage's settings."""

    lr: float = Setting(0.1, "learning rate")
    epochs: int = Setting(3, "epochs")
    resume: Path | None = Setting(None, "file to start from")
    log_interval: int = Setting(100, "batches between lines", free=True)


def opened(
    path: Path, *, stage: str = "train", parents: Mapping[str, Path] | None = None, **values: Any
) -> RunDirectory:
    parents = parents or {}
    config = Config.build({**values, **parents})
    return RunDirectory(path, stage, config, parents=parents, writes=("checkpoint.pth.tar", "model_best.pth.tar"))


def recorded(path: Path) -> dict[str, Any]:
    return dict(json.loads((path / "run.json").read_text()))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was cut off."""
    with opened(tmp_path / "run") as directory:
        directory.begin()
    return tmp_path / "run"


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A file to start from."""
    (tmp_path / "parent.pth.tar").write_bytes(b"weights")
    return tmp_path / "parent.pth.tar"


def test_new_running_finished(tmp_path: Path) -> None:
    with opened(tmp_path / "a" / "run") as directory:
        assert directory.status is RunStatus.NEW
        assert directory.result == {}
        run_id = directory.run_id
        directory.begin()
    with opened(tmp_path / "a" / "run") as directory:
        assert directory.status is RunStatus.RUNNING
        assert directory.run_id == run_id
        directory.finish({"best_prec1": 0.5})
    with opened(tmp_path / "a" / "run") as directory:
        assert directory.status is RunStatus.FINISHED
        assert directory.result == {"best_prec1": 0.5}
        assert directory.run_id == run_id


def test_the_record(tmp_path: Path, parent: Path) -> None:
    with opened(tmp_path / "run", lr=0.2, parents={"resume": parent}) as directory:
        directory.begin()
        provenance = directory.provenance(Config(lr=0.2, resume=parent, log_interval=7))
    record = recorded(tmp_path / "run")
    assert record["stage"] == "train"
    assert record["config"] == {"lr": 0.2, "epochs": 3, "resume": str(parent)}
    assert record["parents"] == {"resume": {"path": str(parent), "sha256": hashlib.sha256(b"weights").hexdigest()}}
    assert len(record["run_id"]) == 16
    assert provenance["run_id"] == record["run_id"]
    assert provenance["parents"] == record["parents"]
    assert provenance["config"]["log_interval"] == 7


def test_two_runs_have_two_identities(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as one, opened(tmp_path / "b") as other:
        assert one.run_id != other.run_id


def test_what_never_began_leaves_no_folder(tmp_path: Path) -> None:
    directory = opened(tmp_path / "run")
    directory.remember("precision", "bf16")
    directory.__exit__(ValueError, ValueError("no images"), None)
    assert not (tmp_path / "run").exists()


def test_what_never_began_leaves_the_users_files(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with opened(tmp_path / "run"):
        pass
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_what_was_killed_before_it_began_is_new_again(tmp_path: Path) -> None:
    directory = opened(tmp_path / "run")
    directory.remember("precision", "bf16")
    directory._lock.release()  # as a killed process leaves it
    with opened(tmp_path / "run", lr=0.7) as directory:
        assert directory.status is RunStatus.NEW
        assert directory.remember("precision", "fp32") == "fp32"


# One process at a time.

HOLD = """
import sys
from pathlib import Path
from netslim.core.config import StageConfig
from netslim.core.errors import UsageError
from netslim.core.plugins.declarations import Option
from netslim.core.runlog import RunDirectory

try:
    with RunDirectory(Path(sys.argv[1]), "train", StageConfig(), parents={}, writes=()) as directory:
        directory.begin()
        print("open", flush=True)
        sys.stdin.read()
except UsageError as error:
    print(error, flush=True)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has `tmp_path / "busy"` open."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "busy")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


BUSY = "is in use by another process; wait for it or give another `save`"


def test_a_second_process_is_refused_at_once(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    before = {path.name: path.read_bytes() for path in (tmp_path / "busy").iterdir()}
    start = time.perf_counter()
    with pytest.raises(UsageError, match=f"^{tmp_path}/busy {BUSY}$"):
        opened(tmp_path / "busy")
    assert time.perf_counter() - start < 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "busy").iterdir()} == before


def test_a_killed_process_leaves_no_lock(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    holder.wait()
    config = StageConfig()
    with RunDirectory(tmp_path / "busy", "train", config, parents={}, writes=()) as directory:
        assert directory.status is RunStatus.RUNNING


def test_this_process_refuses_itself_and_others(tmp_path: Path) -> None:
    with opened(tmp_path / "run"):
        with pytest.raises(UsageError, match=BUSY):
            opened(tmp_path / "run")
        command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert result.stdout == f"{tmp_path}/run {BUSY}\n"
    with opened(tmp_path / "run"):
        pass


def test_a_refused_run_lets_go_of_the_directory(run: Path) -> None:
    for _ in range(2):
        with pytest.raises(UsageError, match=r"holds another run"):
            opened(run, lr=0.5)
    with opened(run):
        pass


# Another configuration.


def test_differences_are_named(run: Path) -> None:
    with pytest.raises(UsageError) as caught:
        opened(run, lr=0.5, epochs=4)
    assert str(caught.value) == (
        f"{run} holds another run (epochs: 3 there, 4 now; lr: 0.1 there, 0.5 now); give another `save`, "
        f"repeat that run's settings to go on with it, or delete the folder"
    )


def test_another_stage(run: Path) -> None:
    with pytest.raises(
        UsageError, match=r"holds another run \(it was made by 'train', this is 'prune'\); give another"
    ):
        opened(run, stage="prune")


def test_free_settings_may_differ(run: Path) -> None:
    with opened(run, log_interval=5) as directory:
        assert directory.status is RunStatus.RUNNING


def test_a_finished_run_refuses_another_configuration_too(run: Path) -> None:
    with opened(run) as directory:
        directory.finish({})
    with pytest.raises(UsageError, match=r"\(lr: 0.1 there, 0.2 now\)"):
        opened(run, lr=0.2)


def test_settings_that_came_or_went_with_a_version(run: Path) -> None:
    record = recorded(run)
    record["config"] = {"lr": 0.1, "epochs": 3, "warmup": 5}
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"\(warmup: 5 there, None now\)"):
        opened(run)


# Files that a run starts from.


def test_a_plug_in_that_came_leaves_a_run_as_it_is(run: Path) -> None:
    made = with_options({"ridge": [Option(name="power", default=2.0, help="p")]}, "penalty")(Config)
    writes = ("checkpoint.pth.tar", "model_best.pth.tar")
    with RunDirectory(run, "train", made.build({}), parents={}, writes=writes) as directory:
        assert directory.status is RunStatus.RUNNING
    with pytest.raises(UsageError, match=r"power: 2.0 there, 3.0 now"):
        RunDirectory(run, "train", made.build({"power": 3.0}), parents={}, writes=writes)


@pytest.fixture
def child(tmp_path: Path, parent: Path) -> Path:
    """A run that was cut off and began at `parent`."""
    with opened(tmp_path / "child", parents={"resume": parent}) as directory:
        directory.begin()
    return tmp_path / "child"


def test_the_same_content_under_another_path(child: Path, parent: Path) -> None:
    moved = parent.rename(parent.with_name("moved.pth.tar"))
    with opened(child, parents={"resume": moved}) as directory:
        assert directory.status is RunStatus.RUNNING


def test_the_parent_is_gone_after_the_start(child: Path, parent: Path) -> None:
    parent.unlink()
    with opened(child, parents={"resume": parent}) as directory:
        assert directory.status is RunStatus.RUNNING


def test_the_parent_changed(child: Path, parent: Path) -> None:
    parent.write_bytes(b"other weights")
    with pytest.raises(UsageError, match=rf"\(resume: {parent} \(.{{8}}\) there, {parent} \(.{{8}}\) now\)"):
        opened(child, parents={"resume": parent})


def test_another_parent_that_is_missing(child: Path, parent: Path) -> None:
    with pytest.raises(UsageError, match=r"\(resume: .*parent.pth.tar \(.{8}\) there, .*gone.pth \(missing\) now\)"):
        opened(child, parents={"resume": parent.with_name("gone.pth")})


def test_no_parent_now_and_one_there(child: Path, parent: Path) -> None:
    with pytest.raises(UsageError, match=r"\(resume: .*parent.pth.tar \(.{8}\) there, none now\)"):
        opened(child)


def test_a_parent_now_and_none_there(run: Path, parent: Path) -> None:
    with pytest.raises(UsageError, match=r"\(resume: none there, .*parent.pth.tar \(.{8}\) now\)"):
        opened(run, parents={"resume": parent})


def test_a_missing_parent_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^no such checkpoint file: .*missing.pth$"):
        opened(tmp_path / "run", parents={"resume": tmp_path / "missing.pth"})
    with pytest.raises(CheckpointError, match=r"^no such checkpoint file: .* \(it is a folder\)$"):
        opened(tmp_path / "run", parents={"resume": tmp_path})
    assert list(tmp_path.iterdir()) == []


def test_a_parent_in_the_own_directory_goes_on_with_the_run(child: Path, parent: Path) -> None:
    (child / "checkpoint.pth.tar").write_bytes(b"its own weights")
    with opened(child, parents={"resume": child / "checkpoint.pth.tar"}) as directory:
        assert directory.status is RunStatus.RUNNING
    relative = child / ".." / child.name / "checkpoint.pth.tar"
    with opened(child, parents={"resume": relative}) as directory:
        assert directory.status is RunStatus.RUNNING
    with pytest.raises(UsageError, match=r"\(lr: 0.1 there, 0.9 now\)"):
        opened(child, lr=0.9, parents={"resume": child / "checkpoint.pth.tar"})


# What else may lie in the directory.


@pytest.mark.parametrize("names", [("checkpoint.pth.tar",), ("checkpoint.pth.tar", "model_best.pth.tar")])
def test_files_of_others_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"precious")
    text = f"already holds {', '.join(names)}, which no run of netslim wrote there; give another `save`"
    with pytest.raises(UsageError, match=text):
        opened(tmp_path)
    assert all((tmp_path / name).read_bytes() == b"precious" for name in names)
    assert not (tmp_path / "run.json").exists()


def test_files_that_are_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with opened(tmp_path) as directory:
        directory.begin()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_leftovers_of_a_crash_are_swept(run: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    for name in ("checkpoint.pth.tar", "run.json", "metrics.jsonl"):
        (run / f".{name}.tmp-{dead.pid}").write_bytes(b"half")
    others = {"mine.tmp-1", ".hidden", ".mine.tmp-draft", f".net.onnx.tmp-{dead.pid}", f".run.json.tmp-{os.getppid()}"}
    for name in others:
        (run / name).write_text("mine")
    with opened(run):
        pass
    assert {path.name for path in run.iterdir()} - {".lock"} == {"run.json", *others}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"status": "runn',
        b"\xff\xfe\x00",
        b"[1]",
        b"3",
        b"{}",
        b'{"status": "running"}',
        b'{"run_id": 1, "stage": 1, "status": "lost", "config": {}, "parents": {}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_record(run: Path, content: bytes) -> None:
    (run / "run.json").write_bytes(content)
    with pytest.raises(
        NetslimError, match=r"^.*run.json can't be read \(.+\); give another `save` or delete the folder$"
    ):
        opened(run)
    assert (run / "run.json").read_bytes() == content


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / ("x" * 300)):
        with pytest.raises(NetslimError, match=r"^cannot write .*; nothing was changed$"):
            opened(path)


def test_a_directory_without_permission(unprivileged: Path) -> None:
    unprivileged.chmod(0o555)
    with pytest.raises(NetslimError, match=r"^cannot write .*: Permission denied; nothing was changed$"):
        opened(unprivileged)


# What happened.


def test_metrics(run: Path) -> None:
    rows: list[dict[str, Any]] = [{"epoch": 0, "loss": 1.5}, {"epoch": 1, "loss": 0.1, "note": "ü\n"}]
    with opened(run) as directory:
        assert directory.metrics() == []
        for row in rows:
            directory.log(row)
        assert directory.metrics() == rows
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2


def test_rewind(run: Path) -> None:
    with opened(run) as directory:
        for epoch in range(4):
            directory.log({"epoch": epoch})
        directory.rewind(2)
        assert directory.metrics() == [{"epoch": 0}, {"epoch": 1}]
        directory.log({"epoch": 2})
        directory.rewind(9)
        assert [row["epoch"] for row in directory.metrics()] == [0, 1, 2]
        directory.rewind(0)
        assert directory.metrics() == []


def test_a_line_that_was_cut_off_anywhere(run: Path) -> None:
    line = json.dumps({"epoch": 2, "loss": -1.5e-3, "text": "ü"})
    with opened(run) as directory:
        for length in range(len(line)):
            (run / "metrics.jsonl").write_text('{"epoch": 0}\n{"epoch": 1}\n' + line[:length])
            assert [row["epoch"] for row in directory.metrics()] == [0, 1]
            directory.rewind(2)
            directory.log({"epoch": 2})
            assert [row["epoch"] for row in directory.metrics()] == [0, 1, 2]


def test_a_tail_of_zeros_after_a_power_cut(run: Path) -> None:
    (run / "metrics.jsonl").write_bytes(b'{"epoch": 0}\n' + bytes(64))
    with opened(run) as directory:
        assert directory.metrics() == [{"epoch": 0}]


def test_a_choice_is_made_once(run: Path) -> None:
    with opened(run) as directory:
        assert directory.remember("precision", ["bf16", True]) == ["bf16", True]
        assert directory.remember("precision", ["fp32", False]) == ["bf16", True]
        assert directory.remember("other", 1) == 1
    with opened(run) as directory:
        assert directory.remember("precision", ["fp32", False]) == ["bf16", True]
        directory.finish({})
    with opened(run) as directory:
        assert directory.remember("precision", None) == ["bf16", True]


def test_disk_full(run: Path, disk_full_after: DiskFull) -> None:
    before = (run / "run.json").read_bytes()
    with opened(run) as directory:
        directory.log({"epoch": 0})
        acts: list[Callable[[], None]] = [
            lambda: directory.log({"epoch": 1}),
            lambda: directory.rewind(1),
            lambda: directory.finish({}),
        ]
        for act in acts:
            with (
                disk_full_after(8),
                pytest.raises(NetslimError, match=r"^cannot write .*(metrics.jsonl|run.json): File too large"),
            ):
                act()
        assert (run / "run.json").read_bytes() == before
        assert directory.metrics() == [{"epoch": 0}]
    assert {path.name for path in run.iterdir()} == {".lock", "run.json", "metrics.jsonl"}


def test_what_was_typed_and_what_was_warned_of_are_recorded(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with opened(tmp_path / "run", epochs=5, log_interval=7) as directory:
            directory.begin()
            for _ in range(2):
                warnings.warn("mind\nthat", NetslimWarning, stacklevel=1)
            directory.finish({})
    found = recorded(tmp_path / "run")
    assert (found["settings"], found["warnings"]) == ({"epochs": 5, "log_interval": 7}, ["mind that"])


def test_metrics_can_be_read_while_they_are_written(run: Path) -> None:
    with opened(run) as directory:
        directory.log({"epoch": 0})
        assert read_metrics(run / "metrics.jsonl") == [{"epoch": 0}]
    assert read_metrics(run / "nothing.jsonl") == []
