"""Holding files against the hashes they were published with."""

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path

from netslim.core.download import published_hash
from netslim.core.errors import DataError, NetslimWarning
from netslim.data.reading.bounded_read import check_regular


def verify_file(path: Path, md5: str, *, unverified: bool) -> None:
    """Raises DataError if the MD5 is not the published one, or warns of it where `unverified` files are allowed."""
    check_regular(path)
    _compare({path: (md5, published_hash(path, "md5"))}, unverified)


def verify_content(path: Path, content: bytes, md5: str, *, unverified: bool) -> None:
    """The same for what was read from `path`, which may have been compressed there."""
    verify_contents({path: (content, md5)}, unverified=unverified)


def verify_contents(files: Mapping[Path, tuple[bytes, str]], *, unverified: bool) -> None:
    """The same for the files of one data set, with one warning for all of them."""
    found = {path: hashlib.md5(content, usedforsecurity=False).hexdigest() for path, (content, _) in files.items()}
    _compare({path: (md5, found[path]) for path, (_, md5) in files.items()}, unverified)


def _compare(hashes: Mapping[Path, tuple[str, str]], unverified: bool) -> None:
    others = {path: pair for path, pair in hashes.items() if pair[0] != pair[1]}
    if not others:
        return
    path, (expected, found) = next(iter(others.items()))
    what = f"{path} is not the published file (MD5 expected {expected}, found {found})"
    if unverified:
        alone = len(others) == 1
        taken = "it is taken as it is" if alone else f"it and {len(others) - 1} more that differ are taken as they are"
        warnings.warn(f"{what}: {taken}", NetslimWarning, stacklevel=2)
        return
    raise DataError(
        f"{what}: delete it to download it again, or pass `unverified_data=True` (or set NETSLIM_UNVERIFIED_DATA=1) to "
        "take it as it is"
    )
