"""A process that ends when the one that started it does, however that ends."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """Ends this process, one of `multiprocessing`'s, as soon as its parent is gone: one that is killed can't do it.

    A fork server's processes are not its children, so that Linux' own signal for this would come from the wrong one.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_end, args=(parent.sentinel,), daemon=True).start()


def _wait_and_end(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
