"""What a command reads and what it writes must be different files, whatever they are called."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

from netslim.core.errors import UsageError

_DEPTH = 4  # folders within folders in which a run writes: variant, step, round
_LOOKED_AT = 20_000  # files of a folder that may be other names of the file that is read


@dataclass(frozen=True, kw_only=True)
class Use:
    """A file that a setting names, or a folder with the names of what will be written into it.

    Attributes:
        setting: its name.
        path: its value.
        own: whether it may lie in the run's own folder, which asks to go on with the run that is there.
        names: of a folder: names and patterns (`round*`) of what is written (or read) there; `*` for all of it.
    """

    setting: str
    path: Path
    names: tuple[str, ...] = ()
    own: bool = False

    def __str__(self) -> str:
        return f"`{self.setting}={self.path}`"


def check_apart(reads: Sequence[Use], writes: Sequence[Use]) -> None:
    """Raises UsageError if something is written on top of what is read, or two things into one place.

    Links, hard links and other spellings of a path count as the file itself.
    """
    for number, output in enumerate(writes):
        for other in reads:
            if _replaces(output, other) and not (other.own and output.names):
                raise UsageError(
                    f"{output} would replace the file of {other}: type another name for `{output.setting}`"
                )
        for other in writes[:number]:
            if _meets(output, other) or _meets(other, output):
                raise UsageError(
                    f"{output} and {other} are written to the same place: type another name for `{output.setting}`"
                )


def _replaces(output: Use, other: Use) -> bool:
    """Whether writing `output` touches what is read; of two folders, whether one writes inside of what is read."""
    if not (output.names and other.names):
        return _meets(output, other)
    return any(_lies_in(output.path / name, other) for name in output.names)


def _meets(output: Use, other: Use) -> bool:
    """Whether writing `output` touches the file `other` (of a folder: what is written there)."""
    if other.names and not output.names:
        return _meets(other, output)
    if other.names:
        return _real(output.path) == _real(other.path)
    if not output.names:
        return _same(output.path, other.path)
    return _lies_in(other.path, output) or any(_same(path, other.path) for path in _places(output))


def _places(folder: Use) -> Iterator[Path]:
    """What is in a folder already and will be written anew: as deep as runs go, and not all of a disk."""
    below = (f"{name}{'/*' * depth}" for depth in range(_DEPTH) for name in folder.names)
    found = (path for pattern in dict.fromkeys(below) for path in folder.path.glob(pattern))
    with suppress(OSError):  # of a folder that is gone when it is looked into
        yield from islice(found, _LOOKED_AT)


def _lies_in(path: Path, folder: Use) -> bool:
    real, root = _real(path), _real(folder.path)
    if real == root:
        return True
    return real.is_relative_to(root) and any(fnmatch(str(real.relative_to(root)), name) for name in folder.names)


def _same(one: Path, other: Path) -> bool:
    try:
        if one.is_file() and other.is_file():
            return one.samefile(other)
    except OSError:
        return False
    return _real(one) == _real(other) and (one.is_dir() or not one.exists())  # devices and pipes are anybody's


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
