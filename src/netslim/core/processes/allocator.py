"""The C library's allocator: training frees and asks for the same large blocks in every step."""

import ctypes

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4
_LARGE = 64 * 1024
_TOP_PAD = 64 * 1024**2


def keep_freed_memory() -> bool:
    """Makes this process keep the memory that it frees for its next request.

    By default glibc gives every large block back to the system, which then has to clear its pages again: on the CPU
    that is up to a third of the time of a training.

    Returns:
        Whether the allocator took the settings; other C libraries than glibc have none.
    """
    return _set((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, _TOP_PAD))


def give_back_at_once() -> bool:
    """Makes this process give every large block back to the system as soon as it is freed: it holds what it needs.

    By itself glibc learns from the sizes that it sees which blocks to keep, in a heap that is left with holes: the peak
    of a network is then up to twice what its tensors take, and depends on their order.

    Returns:
        Whether the allocator took the setting; other C libraries than glibc have none.
    """
    return _set((_M_MMAP_THRESHOLD, _LARGE))


def _set(*settings: tuple[int, int]) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(name, value) == 1 for name, value in settings)
