"""What is written to as it is, and never replaced: descriptors of this process, pipes and devices."""

import os
import re
import stat
import sys
from pathlib import Path

_DESCRIPTOR = re.compile(r"/proc/\d+/fd/(\d+)")
_STANDARD_OUTPUT = 1


def is_written_through(path: Path) -> bool:
    """Whether `path` is a descriptor of this process (/dev/stdout), a pipe or a device."""
    return _descriptor(path) is not None or _is_stream(path)


def write_through(path: Path, data: bytes) -> None:
    """Writes all of `data` to one of them. Raises OSError; BrokenPipeError where the reader has left."""
    descriptor = _descriptor(path)
    if descriptor is not None:
        sys.stdout.flush()
        while data:
            data = data[os.write(descriptor, data) :]
        return
    with path.open("wb", buffering=0) as stream:
        while data:
            data = data[stream.write(data) or 0 :]


def is_standard_output(path: Path) -> bool:
    """Whether what is written to `path` goes where this process prints: /dev/stdout, or the same file or pipe."""
    if _descriptor(path) == _STANDARD_OUTPUT:
        return True
    try:
        printed, written = os.fstat(_STANDARD_OUTPUT), path.stat()
    except OSError:
        return False
    return os.path.samestat(printed, written) and not stat.S_ISCHR(written.st_mode)  # /dev/null holds no two things


def _is_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def _descriptor(path: Path) -> int | None:
    """The number that `/dev/stdout`, `/dev/fd/3` or a link to one of them stands for."""
    for _ in range(10):
        here = Path(os.path.realpath(path.parent)) / path.name
        match = _DESCRIPTOR.fullmatch(str(here))
        if match:
            return int(match[1])
        if not here.is_symlink():
            return None
        path = here.parent / here.readlink()
    return None
