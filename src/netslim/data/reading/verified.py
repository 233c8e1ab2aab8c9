"""Holding files against the hashes they were published with."""

import hashlib
from pathlib import Path

from netslim.core.download import published_hash
from netslim.core.errors import DataError
from netslim.data.reading.bounded_read import check_regular


def verify_file(path: Path, md5: str, *, unverified: bool) -> None:
    """Raises DataError if the file's MD5 is not the published one, unless `unverified` files are allowed."""
    check_regular(path)
    if not unverified:
        _compare(path, md5, published_hash(path, "md5"))


def verify_content(path: Path, content: bytes, md5: str, *, unverified: bool) -> None:
    """The same for what was read from `path`, which may have been compressed there."""
    if not unverified:
        _compare(path, md5, hashlib.md5(content, usedforsecurity=False).hexdigest())


def _compare(path: Path, expected: str, found: str) -> None:
    if found != expected:
        raise DataError(
            f"{path} is not the published file (MD5 expected {expected}, found {found}): delete it to download it "
            "again, or pass `unverified_data=True` (or set NETSLIM_UNVERIFIED_DATA=1) to take it as it is"
        )
