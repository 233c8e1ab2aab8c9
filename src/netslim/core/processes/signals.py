"""Ctrl-C, SIGTERM and a closed terminal (SIGHUP), from the first import to the last write.

Light: the command imports it before anything else. While modules are imported a signal ends the process where it
stands: there is nothing to put away, and an exception out of an import becomes another one. While a verb works it
raises `Stopped`, so that locks and temporary files are put away. A second signal ends the process at once. Where all is
said and written and the interpreter puts its modules away, a signal changes nothing any more.
"""

import atexit
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "the terminal was closed"}
_AGAIN = 0.05  # seconds after which a signal is raised again that was lost in a destructor

_working: list[bool] = []  # whether an exception is of use
_received: list[int] = []


class Stopped(BaseException):
    """A signal came while a verb worked. No `Exception`: what mends errors must not mend it.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def install() -> None:
    """Handles these signals from now on; one that this process was started to ignore (`nohup`, `&`) stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)
    sys.unraisablehook = _unraisable
    atexit.register(_close)  # the first that is registered is the last that is called


def _close() -> None:
    """Ignores these signals: Python takes its handlers away next, and one would end what is done without a word."""
    for number in SIGNALS:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def working() -> Iterator[None]:
    """Context in which a signal raises `Stopped`, if `install` was called."""
    _working.append(True)
    try:
        yield
    finally:
        _working.pop()


def received() -> int | None:
    """The number of the signal that came, or None."""
    return _received[0] if _received else None


def line(number: int) -> str:
    """What is said at the end."""
    return f"netslim: {_WORDS.get(signal.Signals(number).name, 'stopped')}"


def _handle(number: int, _: FrameType | None) -> None:
    first = not _received
    _received.append(number)
    if _working and first:
        raise Stopped(number)
    with suppress(Exception):
        sys.stdout.flush()
    if os.environ.get("RANK", "0") == "0":
        with suppress(OSError):
            os.write(2, f"{line(number)}\n".encode())
    os._exit(128 + number)


def _unraisable(what: Any) -> None:
    if not isinstance(what.exc_value, Stopped):
        sys.__unraisablehook__(what)
    elif hasattr(signal, "setitimer"):
        number = what.exc_value.number
        signal.signal(signal.SIGALRM, lambda *_: _raise(number))
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)


def _raise(number: int) -> None:
    raise Stopped(number)
