import errno
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import CheckpointError, NetslimError
from netslim.core.files import (
    as_word,
    atomic_write,
    check_readable,
    check_replaceable,
    check_writable,
    file_hash,
    put_in_place,
    read_text,
    temporary_folder,
    temporary_name,
    write_json,
)

DiskFull = Callable[[int], AbstractContextManager[None]]
OLD, NEW = b"old" * 1000, b"new" * 70_000

# Ends the process at the n-th call into C (open, write, fsync, rename, ...) and at the n-th return, for every n.
CRASHES = """
import json, os, sys
from pathlib import Path
from netslim.core.files import atomic_write

target, states, calls, last = Path(sys.argv[1]), [], [], 0
old, new = b"old" * 1000, b"new" * 70_000

def run(crash_at):
    count = 0
    def trace(frame, event, argument):
        nonlocal count
        if event in ("c_call", "c_return"):
            count += 1
            if crash_at is None and event == "c_call":
                calls.append(argument.__name__)
            if count == crash_at:
                os._exit(9)
    sys.setprofile(trace)
    atomic_write(target, new)
    sys.setprofile(None)

while True:
    last += 1
    target.write_bytes(old)
    child = os.fork()
    if child == 0:
        run(last)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    states.append({old: "old", new: "new"}.get(target.read_bytes(), "broken"))
    left = [path.name for path in target.parent.iterdir() if path != target]
    assert all(name == f".{target.name}.tmp-{child}" for name in left), left
    for name in left:
        (target.parent / name).unlink()
    if code == 0:
        assert not left, left
        break
run(None)
print(json.dumps({"states": states, "calls": calls}))
"""

# A write that the kernel ends after so many bytes, and the process with it.
TORN_WRITES = """
import os, resource, signal, sys
from pathlib import Path
from netslim.core.files import atomic_write

target, new = Path(sys.argv[1]), b"new" * 70_000
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for size in (0, 1, 3_000, 65_536, len(new) - 1):
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        atomic_write(target, new)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGXFSZ, target.read_bytes() == b"old" * 1000)
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and file size limits")


def script(text: str, *arguments: object) -> str:
    command = [sys.executable, "-c", text, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


@posix
def test_a_crash_at_any_operation_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    report: dict[str, Any] = json.loads(script(CRASHES, tmp_path / "file.bin"))
    states, calls = report["states"], report["calls"]
    assert set(states) == {"old", "new"}
    assert states == sorted(states, reverse=True)  # once it is the new one, it stays so
    assert Counter(states)["old"] > 20
    durable = [call for call in calls if call in ("write", "fsync", "replace")]
    assert durable == ["write", "fsync", "replace", "fsync"]  # data before the name, then the folder


@posix
def test_a_write_that_is_torn_by_the_end_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(OLD)
    assert script(TORN_WRITES, tmp_path / "file.bin").split("\n") == ["True True"] * 5 + [""]


@posix
@pytest.mark.parametrize("size", [0, 1, 100, 4096, 65_536, len(NEW) - 1])
def test_disk_full(tmp_path: Path, disk_full_after: DiskFull, size: int) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(OLD)
    with disk_full_after(size), pytest.raises(NetslimError) as caught:
        atomic_write(target, NEW)
    assert str(caught.value) == f"cannot write {target}: File too large; file.bin is as it was"
    assert target.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [target]
    atomic_write(target, NEW)  # there is room again
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT"])
def test_a_disk_that_fills_in_the_midst_of_a_work_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Other files of the work were written already: of this one alone can be said that it is as it was."""
    number = getattr(errno, name)

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    target = tmp_path / "b.json"
    monkeypatch.setattr("netslim.core.files.DISK.write", full)
    with pytest.raises(NetslimError) as caught:
        atomic_write(target, NEW)
    assert str(caught.value) == (
        f"cannot write {target}: {os.strerror(number)}; b.json is as it was: free some space and type the same command "
        f"again"
    )


def test_new_file_in_new_folders(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "file.bin"
    atomic_write(target, NEW)
    assert target.read_bytes() == NEW
    assert list(target.parent.iterdir()) == [target]


def test_the_target_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(NetslimError, match=r"^cannot write .*target: Is a directory; nothing was changed$"):
        atomic_write(tmp_path / "target", NEW)
    assert list(tmp_path.iterdir()) == [tmp_path / "target"]
    assert list((tmp_path / "target").iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    for name in ("file/target", "file/deeper/target"):
        with pytest.raises(NetslimError, match=r"^cannot write .*target: .*file is a file, and a folder is"):
            atomic_write(tmp_path / name, NEW)
        with pytest.raises(NetslimError, match=r"^cannot write .*target: .*file is a file, and a folder is"):
            check_writable(tmp_path / name)
    assert (tmp_path / "file").read_bytes() == OLD


def test_text_without_the_mark_of_some_editors(tmp_path: Path) -> None:
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbflr = 1\r\n")
    assert read_text(tmp_path / "marked", 100) == "lr = 1\r\n"


def test_a_folder_beside_a_file_goes_again(tmp_path: Path) -> None:
    with temporary_folder(tmp_path / "net.onnx") as folder:
        assert folder.parent == tmp_path
        (folder / "net.onnx").touch()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_in_a_folder_goes_with_the_next_writing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    left = tmp_path / f".net.onnx.tmp-{process.pid}"
    left.mkdir()
    (left / "net.onnx").touch()
    with put_in_place(tmp_path / "net.onnx") as temporary:
        temporary.write_bytes(NEW)
    assert list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]


def test_an_error_has_the_name_that_was_typed(tmp_path: Path, disk_full_after: DiskFull) -> None:
    with (
        disk_full_after(10),
        pytest.raises(NetslimError, match=rf"^cannot write {tmp_path}/export/model: File too large; model is"),
        put_in_place(tmp_path / "export") as temporary,
    ):
        atomic_write(temporary / "model", NEW)
    assert list(tmp_path.iterdir()) == []


def test_of_a_folder_the_network_in_it_is_named(tmp_path: Path) -> None:
    for name in ("checkpoint.pth.tar", "model_best.pth.tar"):
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=r"\(it is a folder; type .*/model_best\.pth\.tar\)$"):
        check_readable(tmp_path)


def test_a_folder_without_permission(unprivileged: Path) -> None:
    unprivileged.chmod(0o555)
    for write in (lambda path: atomic_write(path, NEW), check_writable, check_replaceable):
        with pytest.raises(NetslimError, match=r"^cannot write .*file: Permission denied; nothing was changed$"):
            write(unprivileged / "file")
    assert list(unprivileged.iterdir()) == []


def test_check_writable_leaves_nothing_but_the_folder(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "file")
    assert list(tmp_path.rglob("*")) == [tmp_path / "new"]
    (tmp_path / "new" / "file").write_bytes(OLD)
    check_writable(tmp_path / "new" / "file")
    assert (tmp_path / "new" / "file").read_bytes() == OLD


def test_check_writable_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NetslimError, match=r"^cannot write .*: it is a folder; nothing was changed$"):
        check_writable(tmp_path)


def test_check_readable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    check_readable(tmp_path / "file")
    with pytest.raises(CheckpointError, match=r"^no such checkpoint file: .*missing$"):
        check_readable(tmp_path / "missing")
    with pytest.raises(CheckpointError, match=r"^no such checkpoint file: .* \(it is a folder\)$"):
        check_readable(tmp_path)
    with pytest.raises(CheckpointError, match=r"^(no such checkpoint file|cannot read .*: File name too long)"):
        check_readable(tmp_path / ("x" * 300))


def test_check_readable_without_permission(unprivileged: Path) -> None:
    (unprivileged / "file").write_bytes(OLD)
    (unprivileged / "file").chmod(0)
    with pytest.raises(CheckpointError, match=r"^cannot read .*file: Permission denied$"):
        check_readable(unprivileged / "file")
    unprivileged.chmod(0)
    with pytest.raises(CheckpointError, match=r"^(cannot read .*file: Permission denied|no such checkpoint file: .*)$"):
        check_readable(unprivileged / "file")


def test_write_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"lr": 0.1, "name": "Zürich", "list": [1]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"lr": 0.1, "name": "Zürich", "list": [1]}
    assert text.endswith("}\n")


def test_write_json_of_what_is_no_json_touches_nothing(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"set": {1}})
    assert (tmp_path / "a.json").read_text() == "1\n"


def test_sha256_of_a_published_example(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_hash(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device")
def test_what_has_no_end_is_not_hashed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for endless in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(OSError, match=r"is no regular file$"):
            file_hash(endless)
    with pytest.raises(FileNotFoundError):
        file_hash(tmp_path / "missing")


def test_a_path_that_begins_like_a_flag() -> None:
    assert as_word(Path("-runs/a")) == "./-runs/a"
    assert as_word("runs/-a") == "runs/-a"


def test_temporary_names_lie_beside_the_target_and_are_hidden() -> None:
    name = temporary_name(Path("a/b.pth.tar"))
    assert name.parent == Path("a")
    assert name.name.startswith(".b.pth.tar.tmp-")
