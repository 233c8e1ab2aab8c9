"""Writing files so that nothing is ever lost or half-written."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netslim.core.errors import CheckpointError, NetslimError


def temporary_name(target: Path) -> Path:
    """Where `target` is written before it takes its place: a hidden file beside it."""
    return target.with_name(f".{target.name}.tmp-{os.getpid()}")


@contextmanager
def write_errors(target: Path) -> Iterator[None]:
    """Turns an OSError while `target` is written into a NetslimError in one line."""
    try:
        yield
    except OSError as error:
        raise NetslimError(f"cannot write {target}: {error.strerror or error}; nothing was changed") from error


def atomic_write(target: Path, data: bytes) -> None:
    """Writes `data` to a file beside `target`, syncs it and renames it: readers see the old file or the new one, whole.

    Raises:
        NetslimError: the disk is full or the folder can't be written to. The file that was there is untouched.
    """
    temporary = temporary_name(target)
    with write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_directory(target.parent)


def write_json(target: Path, data: Any) -> None:
    """Writes `data` as indented JSON, atomically."""
    atomic_write(target, (json.dumps(data, indent=2) + "\n").encode())


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """A file's hash in hexadecimal; MD5, which protects from accidents only, is possible too."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def check_readable(path: Path) -> None:
    """Raises CheckpointError if there is no such file or it can't be opened."""
    try:
        if not path.is_file():
            raise CheckpointError(f"no such checkpoint file: {path}" + (" (it is a folder)" if path.is_dir() else ""))
        path.open("rb").close()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_writable(target: Path) -> None:
    """Raises NetslimError if a file can't be written at `target`: before hours of work, not after."""
    with write_errors(target):
        if target.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        probe = temporary_name(target)
        try:
            probe.touch()
        finally:
            probe.unlink(missing_ok=True)
