"""Ctrl-C, SIGTERM and a closed terminal as a question asked between batches, so that a run can save its state first."""

import signal
from types import FrameType
from typing import Any

from netslim.core.launch import launched
from netslim.core.processes.signals import SIGNALS, Stopped


class Interrupt:
    """Context in which the first of these signals is remembered, and the second one acts as usual.

    One that this process was started to ignore (`nohup`, `&`) stays ignored.

    Under `torchrun` the second one is passed over, too: it sends every signal on to processes that may have got it, and
    kills what still runs after 30 seconds.

    Args:
        at_once: the first one raises `Stopped`, too, instead of waiting for the question.

    Attributes:
        signal: number of the signal that came, or None.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self._at_once = at_once
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if not (error and launched()):  # torchrun's next signal must not cut the last words short
            self._restore()

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        if not launched():
            self._restore()
        if self._at_once:
            raise Stopped(number)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
