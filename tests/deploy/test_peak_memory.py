"""How much a process grows while it runs a network: what is read of Linux' account, and when.

`netslim bench` tries it in a real process.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from netslim.core.processes import signals
from netslim.deploy import peak_memory
from netslim.deploy.inference import Form


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int, int], None]:
    """`account(now, peak)` writes Linux' account of a process, in KiB; the file `reset` is told to forget the peak."""
    monkeypatch.setattr(peak_memory, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(peak_memory, "_RESET", tmp_path / "reset")
    monkeypatch.setattr(peak_memory, "_load_libraries", lambda engine, threads: None)
    monkeypatch.setattr(peak_memory, "give_back_at_once", lambda: None)  # for this process it would hold, too

    def write(now: int, peak: int) -> None:
        (tmp_path / "status").write_text(f"Name:\tpython\nVmHWM:\t{peak:8} kB\nVmRSS:\t{now:8} kB\nThreads:\t1\n")

    return write


def opened(run: Callable[[], object], seen: list[Any]) -> Callable[..., Any]:
    """Takes the place of `open_file`."""

    def call(*given: Any) -> Callable[[], object]:
        seen.append(given)
        return run

    return lambda path, load, trust: SimpleNamespace(call=call)


def test_the_peak_of_three_runs_counts_less_what_was_there_before(
    account: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    peaks, highest, seen = [1300, 1600, 1500], list[int](), list[Any]()

    def run() -> None:
        assert (tmp_path / "reset").read_text() == "5"  # what loading took at most is forgotten
        highest.append(peaks.pop(0))
        account(1200, max(highest))

    account(1000, 9000)
    monkeypatch.setattr(peak_memory, "open_file", opened(run, seen))
    threads = torch.get_num_threads()
    assert peak_memory.grown(Path("net"), lambda path: None, "eager", (2, 3, 4, 4), Form(), threads) == 600 * 1024
    assert len(seen) == 2  # what opening imports is there before the second one, which is measured
    for engine, images, form, own in seen:
        assert (engine, images.shape, form, own) == ("eager", (2, 3, 4, 4), Form(), threads)
    assert peaks == []


def test_a_process_that_shrinks_has_grown_by_nothing(
    account: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    account(1000, 9000)
    monkeypatch.setattr(peak_memory, "open_file", opened(lambda: account(800, 900), []))
    found = peak_memory.grown(Path("net"), lambda path: None, "eager", (1, 1), None, torch.get_num_threads())
    assert found == 0


def test_where_there_is_no_account_the_system_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peak_memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(peak_memory.sys, "platform", "linux")
    usage = SimpleNamespace(ru_maxrss=7)
    monkeypatch.setattr(peak_memory.resource, "getrusage", lambda who: usage)
    assert peak_memory._now() == peak_memory._peak() == 7 * 1024
    monkeypatch.setattr(peak_memory.sys, "platform", "darwin")  # which counts in bytes
    assert peak_memory._peak() == 7


def test_a_signal_waits_for_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for the one that is about to begin."""
    done: list[object] = []

    class Pool:
        """Is stopped while it begins."""

        def submit(self, *_: object) -> None:
            """A signal."""
            raise signals.Stopped(15)

        def shutdown(self, **how: object) -> None:
            """Notes how."""
            done.append(how)

    monkeypatch.setattr(peak_memory, "_context", lambda: None)
    monkeypatch.setattr(peak_memory, "ProcessPoolExecutor", lambda *_, **__: Pool())
    monkeypatch.setattr(peak_memory, "_kill_all", lambda: done.append("killed"))
    with pytest.raises(signals.Stopped):
        peak_memory.peak_memory(Path("net"), lambda path: torch.nn.Module(), "eager", (1,), None, 1)
    assert done == ["killed", {"wait": False, "cancel_futures": True}]
