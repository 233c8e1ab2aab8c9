"""What would not fit in memory, known before the machine starts to swap."""

from pathlib import Path

import torch

from netslim.core.errors import DataError


def require_memory(needed: int, what: str) -> None:
    """Raises DataError if `needed` bytes for `what` are more than this machine has free (where that can be known)."""
    free = available_memory()
    if free is not None and needed > free:
        raise DataError(
            f"{what} need {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free: "
            "type a smaller `image_size` or use a part of the images"
        )


def fits(needed: int) -> bool:
    """Whether this machine has `needed` bytes free, or can't say."""
    free = available_memory()
    return free is None or needed <= free


def fits_on(device: torch.device | str, needed: int) -> bool:
    """Whether a device has `needed` bytes of its own free."""
    return torch.device(device).type != "cuda" or needed <= torch.cuda.mem_get_info(device)[0]


def available_memory() -> int | None:
    """Bytes that can be had without swapping: the kernel's estimate, capped by the control group; None if unknown."""
    estimate = _kernel_estimate()
    limit = _control_group_limit()
    known = [number for number in (estimate, limit) if number is not None]
    return min(known) if known else None


def _kernel_estimate() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def _control_group_limit() -> int | None:
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text())  # a container's limit; "max" means none
    except (OSError, ValueError):
        return None
