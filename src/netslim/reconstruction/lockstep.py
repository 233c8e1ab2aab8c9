"""Several runs of networks side by side, each of which stops at the same places until it is told to go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

S = TypeVar("S")


class StoppedError(BaseException):
    """Ends a run that is not to go on."""


class Lane(Generic[S]):
    """A run in a thread of its own that works only while someone waits for its next stop.

    Args:
        work: calls the `stop` that it is given with what there is to see, and gets back what to go on with.
    """

    def __init__(self, work: Callable[[Callable[[S], Any]], None]) -> None:
        self._work = work
        self._turn, self._seen = threading.Semaphore(0), threading.Semaphore(0)
        self._stop: S | None = None
        self._answer: Any = None
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def next(self, answer: Any = None) -> S | None:
        """Lets it go on to its next stop; None if it came to its end. What it raises is raised here."""
        if self._ended:
            return None
        self._answer, self._stop = answer, None
        self._turn.release()
        self._seen.acquire()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._stop

    def end(self) -> None:
        """Ends it where it stands."""
        while not self._ended:
            try:
                self.next(StoppedError())
            except StoppedError:
                return

    def _run(self) -> None:
        self._turn.acquire()
        try:
            if not isinstance(self._answer, StoppedError):
                self._work(self._stopped)
        except BaseException as error:
            self._error = error
        self._ended = True
        self._seen.release()

    def _stopped(self, what: S) -> Any:
        self._stop = what
        self._seen.release()
        self._turn.acquire()
        if isinstance(self._answer, StoppedError):
            raise self._answer
        return self._answer
