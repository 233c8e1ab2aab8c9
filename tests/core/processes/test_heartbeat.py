"""A process that no longer answers is named; one that left in order is not missed."""

import os
import time
from datetime import timedelta

import pytest

from netslim.core.processes import heartbeat
from netslim.core.processes.heartbeat import Heartbeat, end_process


class Store:
    """Counts as torch's store does, until it is gone."""

    def __init__(self, **counts: int) -> None:
        self.counts, self.gone = counts, False

    def clone(self) -> "Store":
        return self

    def set_timeout(self, timeout: timedelta) -> None:
        self.timeout = timeout

    def add(self, key: str, amount: int) -> int:
        if self.gone:
            raise RuntimeError
        self.counts[key] = self.counts.get(key, 0) + amount
        return self.counts[key]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.01)


@pytest.mark.parametrize(
    ("counts", "said", "seconds"),
    [
        ({"beat/2": 1}, "process 2 of this run has not answered for 0.2 seconds", 0.2),
        ({"beat/0": 10**12}, "process 2 of this run has not begun to work within 1 seconds", 1.0),
    ],
)
def test_a_silent_process_is_named_after_its_patience(counts: dict[str, int], said: str, seconds: float) -> None:
    store, texts, began = Store(**{"beat/0": 10**12, **counts}), list[str](), time.monotonic()
    watch = Heartbeat(store, 1, 3, 0.2, texts.append)
    watch.start()
    watch._thread.join(30)
    assert texts == [said]
    assert time.monotonic() - began > seconds
    assert store.timeout == timedelta(seconds=0.2)


def test_a_process_that_left_in_order_is_not_missed() -> None:
    store, texts = Store(), list[str]()
    first, second = Heartbeat(store, 0, 2, 0.5, texts.append), Heartbeat(store, 1, 2, 10, texts.append)
    first.start()
    second.start()
    time.sleep(0.05)
    second.stop()
    time.sleep(1)
    first.stop()
    assert texts == []
    assert min(store.counts["beat/0"], store.counts["beat/1"]) >= 10**12


def test_a_store_that_is_gone_is_an_error_unless_this_process_leaves_too() -> None:
    store, texts = Store(), list[str]()
    store.gone = True
    lost = Heartbeat(store, 1, 2, 10, texts.append)
    lost.start()
    lost._thread.join(30)
    assert texts == ["the process that keeps the store of this run (process 0, or torchrun) can't be reached"]
    leaving = Heartbeat(store, 1, 2, 10, texts.append)
    leaving._left.set()
    leaving._without_store()
    assert len(texts) == 1


def test_after_an_error_the_quiet_process_is_found() -> None:
    watch = Heartbeat(Store(), 0, 3, 10)
    assert watch.silent(within=0) == "another process"
    watch._beats = {1: (5, time.monotonic() + 60), 2: (5, time.monotonic())}
    assert watch.silent(within=30) == "process 2"


def test_the_end_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    end_process("process 1 is gone")
    assert codes == [1]
    assert capsys.readouterr().err == (
        "netslim: error: process 1 is gone; type the same command again to go on from the last state, or let torchrun "
        "--max-restarts 3 do it\n"
    )
