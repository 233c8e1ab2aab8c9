"""Reading data files without trusting what they say of their size: regular files only, and never more than a bound."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from netslim.core.errors import DataError


class BoundedReader:
    """A stream that ends with an error once more than `most` bytes are asked of it: what unpacks can be endless.

    Args:
        stream: what is read.
        most: bytes that may be read in all.
        name: of the file, for the message.
    """

    def __init__(self, stream: IO[bytes], most: int, name: Path) -> None:
        self._stream, self._left, self._most, self._name = stream, most, most, name

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all. Raises DataError where there are more than the bound allows."""
        wanted = self._left + 1 if size < 0 else min(size, self._left + 1)
        data = self._stream.read(wanted)
        self._left -= len(data)
        if self._left < 0:
            raise _too_large(self._name, self._most)
        return data


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a file, unpacked if its name ends in .gz.

    Raises:
        DataError: it can't be read, is no regular file, is damaged, or holds more than `most` bytes.
    """
    check_regular(path)
    if path.suffix == ".gz":
        with unpacked(path, most) as stream:
            return stream.read()
    try:
        with path.open("rb") as file:
            return BoundedReader(file, most, path).read()
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def unpacked(path: Path, most: int) -> Iterator[BoundedReader]:
    """What is in a gzip file, as a stream of at most `most` bytes.

    Raises:
        DataError: see `read_file`; also for what goes wrong while the stream is read.
    """
    check_regular(path)
    try:
        with gzip.open(path) as stream:
            yield BoundedReader(cast(IO[bytes], stream), most, path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}): delete it to download it again") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def check_regular(path: Path) -> None:
    """Raises DataError for what must not be opened: to open a pipe waits for ever, and a device has no end."""
    try:
        path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if not path.is_file():
        raise DataError(f"cannot read {path}: it is no regular file")


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot read {path}: {error.strerror or error}")


def _too_large(path: Path, most: int) -> DataError:
    return DataError(
        f"{path} holds more than {most // 1_000_000} MB, and the published file does not: delete it to download it "
        "again"
    )
