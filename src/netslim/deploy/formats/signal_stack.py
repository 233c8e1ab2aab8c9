"""The stack that handlers of signals run on, which OpenVINO takes over and leaves in memory that it gives back.

A model that it compiled on a processor with AMX installs a stack of its own, and the one before it again once it is
gone. Where of two models the first goes first, that is the stack of a model that is gone, and the next signal with a
handler (torch's `DataLoader` has one for every process that ends) is a segmentation fault.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """This thread's stack for signals is afterwards what it was; elsewhere than on Linux nothing is done."""
    if sys.platform != "linux":
        yield
        return
    library, before = ctypes.CDLL(None), _Stack()
    library.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        library.sigaltstack(ctypes.byref(before), None)
