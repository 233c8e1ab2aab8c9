"""Fetching a published file: several mirrors, interrupted downloads go on, and nothing passes without its hash."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

from netslim.core.errors import DataError
from netslim.core.files import file_hash

PATIENCE = 30.0  # seconds until the first byte, over all mirrors of a file
_TIMEOUT = 15.0  # seconds without any more of an answer
_ATTEMPTS = 3  # per mirror, as long as each brings more of the file
_CHUNK = 1 << 18

T = TypeVar("T")


class _MirrorError(Exception):
    """A mirror did not deliver; the message says why."""


def download(target: Path, mirrors: Sequence[str], digest: str, *, size: int | None = None) -> Path:
    """Downloads a file, unless nobody serves the right one.

    It grows as `<name>.part` beside its target and is renamed once its hash is right, so the target is never half a
    file. A `.part` from an earlier attempt is continued.

    Args:
        target: where the file goes; its folder is made if need be.
        mirrors: http(s) addresses that serve the same bytes, tried in turn.
        digest: "md5:" or "sha256:" and the hash in hexadecimal, or the beginning of it.
        size: bytes, if known: a mirror that announces another length is passed over at once.

    Returns:
        The target.

    Raises:
        DataError: if no mirror delivers the file or it cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    with _writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    faults = []
    for url in mirrors:
        host = urlsplit(url).netloc
        sys.stderr.write(f"asking {host} for {target.name}\n")
        fault = _from_mirror(url, part, digest, size, PATIENCE / len(mirrors))
        if fault is None:
            with _writing(target):
                part.replace(target)
            sys.stderr.write(f"downloaded {target}\n")
            return target
        sys.stderr.write(f"{host}: {fault}\n")
        faults.append(f"{host}: {fault}")
    raise DataError(
        f"could not download {target.name} ({'; '.join(faults)}): fetch {mirrors[0]} by other means and put it at "
        f"{target}, or name the folder that holds it with `data_dir`"
    )


def answer(ask: Callable[[], T], seconds: float) -> T:
    """What `ask` gives, a request of any kind.

    The time-out of a socket is for one of a host's addresses, and not for looking up its name; this one is for all.

    Raises:
        TimeoutError: it took longer.
        Exception: whatever `ask` raises.
    """
    given: Future[T] = Future()

    def run() -> None:
        try:
            given.set_result(ask())
        except Exception as error:
            given.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return given.result(seconds)
    except FutureTimeoutError as error:
        if given.done():
            raise  # a time-out of its own
        raise TimeoutError(f"no answer within {seconds:g} seconds") from error


def published_hash(path: Path, algorithm: str) -> str:
    """`netslim.core.files.file_hash`, for a published file. Raises DataError if it cannot be read."""
    try:
        return file_hash(path, algorithm)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _from_mirror(url: str, part: Path, digest: str, size: int | None, patience: float) -> str | None:
    """Completes `part` from one mirror. Returns None when its hash is right, else what went wrong."""
    algorithm, _, expected = digest.partition(":")
    fault = ""
    for _ in range(_ATTEMPTS):
        before = _size_of(part)
        try:
            _fetch(url, part, size, patience)
        except _MirrorError as error:
            fault = str(error)
            if _size_of(part) <= before:
                break
            continue
        if published_hash(part, algorithm).startswith(expected.lower()):
            return None
        with _writing(part):
            part.unlink()
        fault = "served a file with another hash"
        if before == 0:  # otherwise what was there before may have been at fault: once more from the beginning
            break
    return fault


def _fetch(url: str, part: Path, size: int | None, patience: float) -> None:
    """Asks a mirror for what `part` lacks. Raises _MirrorError; what arrived until then stays in `part`."""
    have = _size_of(part)
    headers = {"User-Agent": "netslim"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        request = Request(url, headers=headers)  # noqa: S310 - the addresses stand in the source
        with answer(lambda: build_opener().open(request, timeout=_TIMEOUT), patience) as response:
            offset = _offset(response, have)
            length = response.headers.get("Content-Length")
            total = offset + int(length) if length else None
            if size is not None and total not in (None, size):
                raise _MirrorError(f"offered {total} bytes where the file has {size}")
            _save(response, part, offset, total)
    except HTTPError as error:
        if error.code != 416 or not have:  # 416: nothing is left to send, the hash decides
            raise _MirrorError(f"HTTP {error.code} {error.reason}") from error
    except URLError as error:
        raise _MirrorError(_reason(error.reason)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _MirrorError(_reason(error)) from error


def _offset(response: HTTPResponse, have: int) -> int:
    """Where in the file the answer begins: at `have`, or at 0 if the mirror does not serve parts."""
    if response.status != 206:
        return 0
    if not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
        raise _MirrorError("answered with another part of the file than the one asked for")
    return have


def _save(response: HTTPResponse, part: Path, offset: int, total: int | None) -> None:
    """Writes the answer to `part` from `offset` on. Raises _MirrorError if it ends before `total` bytes are there."""
    with _writing(part):
        file = part.open("ab" if offset else "wb")
    done = offset
    try:
        with _progress(part.stem, urlsplit(response.url).netloc, offset, total) as advance:
            while chunk := response.read(_CHUNK):
                with _writing(part):
                    file.write(chunk)
                done += len(chunk)
                advance(len(chunk))
        with _writing(part):
            file.flush()
            os.fsync(file.fileno())
    finally:
        with _writing(part):
            file.close()
    if total is not None and done < total:
        raise _MirrorError(f"the connection closed after {done} of {total} bytes")


@contextmanager
def _progress(name: str, host: str, offset: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Shows how far a download is: a bar on a terminal, else one line."""
    if not sys.stderr.isatty():
        size = f" ({total / 1e6:.1f} MB)" if total else ""
        sys.stderr.write(f"{'continuing' if offset else 'downloading'} {name}{size} from {host}\n")
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{name} from {host}", total=total, completed=offset)
        yield lambda count: bar.advance(task, count)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns a local failure into a DataError, so that it is not taken for one of the network."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write {path} ({error.strerror or error}): free some space or name another folder with `data_dir`"
        ) from error


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: object) -> str:
    """An error's own words in one line."""
    strerror = getattr(error, "strerror", None)
    return " ".join(str(strerror or error).split()) or type(error).__name__
