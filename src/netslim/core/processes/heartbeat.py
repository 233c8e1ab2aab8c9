"""Whether the other processes of a run still live: each one counts up in the store that all of them share.

A process that was stopped, or whose machine is gone, closes no connection: whoever waits for it in a call of a library
waits for ever. So a thread watches, and ends this process with the name of the one that no longer answers.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

INTERVAL = 1.0  # seconds between two beats
STARTING = 5  # a process that has not begun yet is waited for so many times as long
_GONE = 10**12  # beats of a process that left in order


class Heartbeat:
    """Counts for this process and watches the others, in a thread of its own.

    Args:
        store: torch's; a connection of its own is made, since a call that waits keeps a connection to itself.
        rank: this process's number.
        size: number of processes.
        patience: seconds without a beat after which a process is given up.
        give_up: called in the thread with one line that says which process it was; by default it ends this process.
    """

    def __init__(
        self, store: Any, rank: int, size: int, patience: float, give_up: Callable[[str], None] | None = None
    ) -> None:
        self.store = store.clone()
        self._rank, self._patience = rank, patience
        self._give_up = give_up or end_process
        self._beats = {other: (0, time.monotonic()) for other in range(size) if other != rank}
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begins to count and to watch."""
        with suppress(AttributeError, RuntimeError):
            self.store.set_timeout(timedelta(seconds=self._patience))
        self._thread.start()

    def stop(self) -> None:
        """Ends in order: from now on nobody waits for this process."""
        self._left.set()
        self._thread.join(self._patience)
        with suppress(RuntimeError):  # whoever keeps the store has left already
            self.store.add(f"beat/{self._rank}", _GONE)

    def silent(self, within: float = 4 * INTERVAL) -> str:
        """Which process has ended or stopped, after an error that does not say it: its name, or `another process`."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            quiet = [other for other, (_, last) in self._beats.items() if time.monotonic() - last > 2.5 * INTERVAL]
            if quiet:
                return f"process {quiet[0]}"
            time.sleep(INTERVAL / 4)
        return "another process"

    def _watch(self) -> None:
        while not self._left.wait(INTERVAL):
            try:
                self._beat()
            except RuntimeError:
                self._without_store()
                return
            late = [other for other in self._beats if self._waited(other) > self._limit(other)]
            if late:
                began = self._beats[late[0]][0]
                what = "has not answered for" if began else "has not begun to work within"
                self._give_up(f"process {late[0]} of this run {what} {self._limit(late[0]):g} seconds")
                return

    def _beat(self) -> None:
        self.store.add(f"beat/{self._rank}", 1)
        for other, (known, _) in self._beats.items():
            found = self.store.add(f"beat/{other}", 0)
            if found != known:
                self._beats[other] = (found, time.monotonic())

    def _waited(self, other: int) -> float:
        count, last = self._beats[other]
        return 0.0 if count >= _GONE else time.monotonic() - last

    def _limit(self, other: int) -> float:
        return self._patience * (1 if self._beats[other][0] else STARTING)

    def _without_store(self) -> None:
        """Whoever keeps the store may have ended in order, a moment before this process does."""
        if not self._left.wait(3 * INTERVAL):
            self._give_up("the process that keeps the store of this run (process 0, or torchrun) can't be reached")


def end_process(text: str) -> None:
    """Says it and ends this process, whose main thread may wait in a call that never returns."""
    from netslim.core.launch import may_speak

    if may_speak():
        print(  # noqa: T201
            f"netslim: error: {text}; type the same command again to go on from the last state, or let torchrun "
            f"--max-restarts 3 do it",
            file=sys.stderr,
            flush=True,
        )
    os._exit(1)
