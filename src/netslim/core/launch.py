"""What `torchrun` says of this process in its environment. Light: the command line asks before it imports torch."""

import os
import time
from typing import Protocol

from netslim.core.errors import UsageError


class Counter(Protocol):
    """What all processes can count in together: torch's `Store`."""

    def add(self, key: str, amount: int, /) -> int:
        """The sum after adding `amount`."""
        ...


_shared: list[Counter] = []  # of the processes that were joined last


def launched() -> bool:
    """Whether `torchrun` (or a launcher that sets the same variables) started this process as one of several."""
    return _number("WORLD_SIZE", 1) > 1


def local_rank() -> int:
    """This process's number on its machine, which is the number of its GPU, too."""
    return _number("LOCAL_RANK", 0) if launched() else 0


def is_first() -> bool:
    """Whether this process is the only one or the first of several."""
    return not launched() or _number("RANK", 0) == 0


def check_launch() -> None:
    """Raises UsageError if the environment says something that no launcher says."""
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        given = os.environ.get(name, "0")
        if not given.isdecimal():
            raise UsageError(f"the environment has {name}={given}, which is no number: type unset {name}, or torchrun")


def _number(name: str, default: int) -> int:
    """A number of the environment; `check_launch` refuses what is none."""
    given = os.environ.get(name, "")
    return int(given) if given.isdecimal() else default


def share(counter: Counter) -> None:
    """Lets `may_speak` count in `counter`."""
    _shared[:] = [counter]


def may_speak(patience: float = 0.0) -> bool:
    """Whether this process prints the error that it ends with: of several that end, the first one that asks.

    Args:
        patience: seconds that another than the first process waits where they have not joined yet: what is wrong is
            mostly wrong for all, and the first one says so, upon which torchrun ends this one. Other launchers do not.
    """
    if launched() and not _shared and not is_first() and patience and "TORCHELASTIC_RUN_ID" in os.environ:
        time.sleep(patience)
        return True
    if not launched() or not _shared:
        return is_first()
    try:
        return _shared[0].add("ended", 1) == 1
    except RuntimeError:  # whoever kept the counter is gone
        return is_first()
