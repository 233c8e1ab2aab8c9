"""Every operation that writes fails once, in every verb: no input is lost, one line is said, and the next run works."""

import errno
import hashlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from started_process import Started
from verb_lines import verbs

from netslim.core.disk import DISK

Netslim = Callable[..., Any]
FAULTS = ("ENOSPC", "EIO", "half", "crash")
OPERATIONS = ("open", "write", "sync", "rename", "make_folder", "remove")
VERBS = ["train", "transfer", "prune", "sweep", "export", "info"]


class Crash(BaseException):
    """The process is gone at this point."""


class Faulty:
    """Lets the `at`-th operation fail; counts all of them."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, fault: str) -> None:
        self.count, self._at, self._fault = 0, at, fault
        for name in OPERATIONS:
            patch.setattr(DISK, name, self._wrapped(name, getattr(DISK, name)))

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any) -> Any:
            self.count += 1
            if self.count != self._at:
                return real(*arguments)
            if self._fault == "half" and name == "write":
                stream, data = arguments
                real(stream, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._fault == "crash":
                real(*arguments)
                raise Crash
            number = errno.EIO if self._fault == "EIO" else errno.ENOSPC
            raise OSError(number, os.strerror(number))

        return act


def operations(netslim: Netslim, line: list[object]) -> int:
    with pytest.MonkeyPatch.context() as patch:
        counter = Faulty(patch, 0, "")
        assert netslim(*line).code == 0
    return counter.count


def attempt(netslim: Netslim, line: list[object], at: int, fault: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Faulty(patch, at, fault)
        try:
            code, err = netslim(*line)
        except Crash:
            return
    if code:
        said = [line for line in err.splitlines() if not line.startswith("netslim: note: ")]
        assert (code, len(said)) == (1, 1), err
        assert said[0].startswith("netslim: error: "), err
        assert "unexpected" not in err, err


def campaign(netslim: Netslim, verb: str, images: Path, model: Path, root: Path, chosen: Callable[[int], Any]) -> int:
    """Fails at the chosen operations, in one of four ways each; returns the number of tries."""
    before, tries = hashlib.sha256(model.read_bytes()).hexdigest(), 0
    total = operations(netslim, verbs(images, model, root / "count")[verb])
    for at in chosen(total):
        fault = FAULTS[tries % len(FAULTS)]
        out = root / f"{verb}-{at}-{fault}"
        line = verbs(images, model, out)[verb]
        attempt(netslim, line, at, fault)
        code, err = netslim(*line)
        assert code == 0, f"{verb}, operation {at}, {fault}: {err}"
        left = [path for path in out.rglob(".*") if ".tmp-" in path.name or ".old-" in path.name]
        assert not left, f"{verb}, operation {at}, {fault}: {left}"
        tries += 1
    assert hashlib.sha256(model.read_bytes()).hexdigest() == before
    return tries


@pytest.mark.parametrize("verb", VERBS)
def test_an_operation_that_fails(netslim: Netslim, images: Path, model: Path, tmp_path: Path, verb: str) -> None:
    """A few of them; all of them in the slow one."""
    source = random.Random(0)  # noqa: S311
    assert campaign(netslim, verb, images, model, tmp_path, lambda total: source.sample(range(1, total + 1), 4)) == 4


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("verb", VERBS)
def test_every_operation_fails(netslim: Netslim, images: Path, model: Path, tmp_path: Path, verb: str) -> None:
    assert campaign(netslim, verb, images, model, tmp_path, lambda total: range(1, total + 1))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("verb", VERBS)
def test_killed_twenty_times(
    images: Path, model: Path, tmp_path: Path, verb: str, start: Callable[..., Started]
) -> None:
    """At moments that a fixed seed gives; then the same command ends well and leaves nothing beside its results."""
    source, line = random.Random(verb), verbs(images, model, tmp_path / "out")[verb]  # noqa: S311
    for _ in range(20):
        process = start(*line)
        time.sleep(source.uniform(0, 0.6))
        if process.process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
    last = start(*line)
    assert last.wait() == 0, last.err
    assert not [path for path in (tmp_path / "out").rglob(".*") if ".tmp-" in path.name or ".old-" in path.name]


@pytest.mark.parametrize("verb", VERBS)
def test_what_killed_processes_left_goes(
    netslim: Netslim, images: Path, model: Path, tmp_path: Path, verb: str
) -> None:
    """Of whichever file it was; and a finished run whose page was not written any more gets it."""
    line, gone = verbs(images, model, tmp_path / "out")[verb], 2**22 + 1  # above the highest number of a process
    assert netslim(*line).code == 0
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and not path.name.startswith(".")]
    for path in written:
        path.with_name(f".{path.name}.tmp-{gone}").write_text("half")
    pages = [path for path in written if path.name == "report.html"]
    for page in pages:
        page.unlink()
    assert netslim(*line).code == 0
    assert not [*(tmp_path / "out").rglob(f".*.tmp-{gone}")]
    assert all(page.is_file() for page in pages)
