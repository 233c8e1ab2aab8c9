"""Holding files against the hashes they were published with."""

import hashlib
import warnings
from pathlib import Path

from netslim.core.download import published_hash
from netslim.core.errors import DataError, NetslimWarning
from netslim.data.reading.bounded_read import check_regular


def verify_file(path: Path, md5: str, *, unverified: bool) -> None:
    """Raises DataError if the MD5 is not the published one, or warns of it where `unverified` files are allowed."""
    check_regular(path)
    _compare(path, md5, published_hash(path, "md5"), unverified)


def verify_content(path: Path, content: bytes, md5: str, *, unverified: bool) -> None:
    """The same for what was read from `path`, which may have been compressed there."""
    _compare(path, md5, hashlib.md5(content, usedforsecurity=False).hexdigest(), unverified)


def _compare(path: Path, expected: str, found: str, unverified: bool) -> None:
    if found == expected:
        return
    what = f"{path} is not the published file (MD5 expected {expected}, found {found})"
    if unverified:
        warnings.warn(f"{what}: it is taken as it is", NetslimWarning, stacklevel=2)
        return
    raise DataError(
        f"{what}: delete it to download it again, or pass `unverified_data=True` (or set NETSLIM_UNVERIFIED_DATA=1) to "
        "take it as it is"
    )
