"""Writing files so that nothing is ever lost or half-written."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from netslim.core.disk import DISK
from netslim.core.errors import CheckpointError, NetslimError
from netslim.core.runs.file_names import NETWORKS
from netslim.core.streams import is_written_through, write_through

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(tmp|old)-(?P<process>\d+)")
_FULL, _MIDWAY = (errno.ENOSPC, errno.EDQUOT), (errno.EFBIG, errno.EIO)  # what comes after other files were written


class _RefusedError(OSError):
    """What the system has no number for, in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(0, reason)

    def __str__(self) -> str:
        return str(self.strerror)


def temporary_name(target: Path) -> Path:
    """Where `target` is written before it takes its place: a hidden file beside it."""
    return target.with_name(f".{target.name}.tmp-{os.getpid()}")


def aside_name(target: Path) -> Path:
    """Where a folder waits while another one takes its name."""
    return target.with_name(f".{target.name}.old-{os.getpid()}")


@contextmanager
def write_errors(target: Path) -> Iterator[None]:
    """Turns an OSError while `target` is written into a NetslimError in one line; not that a pipe's reader has left."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        parts = [match["name"] if (match := _TEMPORARY.fullmatch(part)) else part for part in target.parts]
        asked = Path(*parts)  # nobody typed a temporary name
        raise NetslimError(f"cannot write {asked}: {error.strerror or error}; {_left(asked, error)}") from error


def _left(target: Path, error: OSError) -> str:
    """What a failed write leaves; a disk that fills in the midst of a work has taken its other files."""
    if error.errno in _FULL:
        return f"{target.name} is as it was: free some space and type the same command again"
    return f"{target.name} is as it was" if error.errno in _MIDWAY else "nothing was changed"


def atomic_write(target: Path, data: bytes) -> None:
    """Writes `data` to a file beside `target`, syncs it and renames it: readers see the old file or the new one, whole.

    Through a link the file that it leads to is written. A pipe, a device or a descriptor of this process (/dev/stdout)
    is written to, not replaced. What killed processes left of this target is removed.

    Raises:
        NetslimError: the disk is full or the folder can't be written to. The file that was there is untouched.
    """
    with write_errors(target):
        if is_written_through(target):
            write_through(target, data)
            return
        place = followed(target)
        make_folder(place.parent)
        temporary = temporary_name(place)
        try:
            with DISK.open(temporary) as stream:
                DISK.write(stream, data)
                DISK.sync(stream.fileno())
            DISK.rename(temporary, place)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        _sync_directory(place.parent)
        remove_leftovers(place)


def write_json(target: Path, data: Any) -> None:
    """Writes `data` as indented JSON, atomically."""
    atomic_write(target, (json.dumps(data, indent=2) + "\n").encode())


def append(target: Path, line: str) -> None:
    """Appends a line to a file. Raises NetslimError if it can't be written."""
    with write_errors(target), DISK.open(target, "ab") as stream:
        DISK.write(stream, f"{line}\n".encode())


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """A file's hash in hexadecimal; MD5, which protects from accidents only, is possible too.

    Raises:
        OSError: it can't be read, or is no regular file: a device has no end, and a pipe would be waited for.
    """
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is no regular file")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def as_word(path: object) -> str:
    """A path as a word of a command line, where it is no flag: `-runs/a` -> `./-runs/a`."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def check_readable(path: Path, what: str = "checkpoint file") -> None:
    """Raises CheckpointError, which says what the file is, if there is none or it can't be opened."""
    try:
        if not path.is_file():
            raise CheckpointError(f"no such {what}: {path}{_instead(path)}")
        path.open("rb").close()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error


def _instead(path: Path) -> str:
    """What there is in the place of a file; of a run's folder the network in it."""
    if not path.exists():
        return ""
    if not path.is_dir():
        return " (it is no regular file)"
    found = [path / name for name in NETWORKS if (path / name).is_file()]
    return f" (it is a folder; type {found[0]})" if found else " (it is a folder)"


def read_text(path: Path, limit: int) -> str:
    """The text of a file, without the mark that some editors put before it.

    Raises:
        OSError: it can't be read, is no regular file (a pipe would be waited for, a device has no end), or has more
            than `limit` bytes.
        ValueError: it is no UTF-8.
    """
    if path.exists() and not path.is_file():
        raise _RefusedError("it is a folder" if path.is_dir() else "it is no regular file")
    if path.stat().st_size > limit:
        raise _RefusedError(f"it has more than {limit:,} bytes")
    return path.read_bytes().decode("utf-8-sig")


def check_writable(target: Path) -> None:
    """Raises NetslimError if a file can't be written at `target`: before hours of work, not after."""
    with write_errors(target):
        if target.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        if not is_written_through(target):
            _try_beside(followed(target))


def check_replaceable(folder: Path) -> None:
    """The same for a folder that `put_in_place` will replace: it is written beside its place, and renamed."""
    with write_errors(folder):
        if folder.name in ("", ".."):
            raise _RefusedError("it can't be replaced as it has no name of its own: type that of a folder in it")
        if folder.is_mount():
            raise _RefusedError("a disk is mounted there, so it can't be replaced: type the name of a folder in it")
        _try_beside(followed(folder))


def _try_beside(place: Path) -> None:
    make_folder(place.parent)
    probe = temporary_name(place)
    try:
        DISK.open(probe).close()
    finally:
        probe.unlink(missing_ok=True)


def followed(path: Path) -> Path:
    """Where a link leads, or the path itself. Raises OSError for a link that leads back to itself."""
    if not path.is_symlink():
        return path
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise _RefusedError("it is a link that leads back to itself")
    return place


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it. Raises OSError that says what is in the way."""
    if path.is_symlink() and not path.exists():
        place = followed(path)
        raise _RefusedError(f"{path} is a link to {place}, which is not there: make that folder, or type another name")
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise _RefusedError(f"{place} is a file, and a folder is needed there: type another name")
    DISK.make_folder(path)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` for what is not it yet. A killed process's goes when the target is written again."""
    with write_errors(target):
        folder = temporary_name(followed(target))
        make_folder(folder)
    try:
        yield folder
    finally:
        with suppress(OSError):
            DISK.remove(folder)


@contextmanager
def put_in_place(path: Path) -> Iterator[Path]:
    """A temporary name; what was written there replaces `path` at the end, and is removed after an error.

    A folder can't be replaced in one step: the old one is set aside first, and `recover` gives it its name back should
    the process be killed before the new one has it.
    """
    with write_errors(path):
        path = followed(path)
    temporary, aside = temporary_name(path), aside_name(path)
    try:
        yield temporary
        with write_errors(path):
            if path.is_dir():
                DISK.rename(path, aside)
            DISK.rename(temporary, path)
    finally:
        if not path.exists() and aside.exists():
            aside.rename(path)
        for left in (temporary, aside):
            with suppress(OSError):
                DISK.remove(left)
    remove_leftovers(path)


def remove_leftovers(target: Path) -> None:
    """Removes what processes that were killed while they wrote `target` have left beside it."""
    for path in _beside(target):
        with suppress(OSError):
            DISK.remove(path)


def recover(path: Path) -> None:
    """Gives a folder its name back, where a process was killed between the two steps of replacing it.

    Args:
        path: the folder, or a file in it.
    """
    for place in (path.parent, path):
        for aside in [] if place.exists() or place.is_symlink() else [*_beside(place)]:
            if ".old-" in aside.name:
                with suppress(OSError):
                    DISK.rename(aside, place)


def _beside(target: Path) -> Iterator[Path]:
    """The temporary names of `target` that belong to processes which are no more."""
    with suppress(OSError):
        for path in sorted(target.parent.iterdir()):
            match = _TEMPORARY.fullmatch(path.name)
            if match and match["name"] == target.name and not _is_alive(int(match["process"])):
                yield path


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        DISK.sync(descriptor)
    finally:
        os.close(descriptor)
