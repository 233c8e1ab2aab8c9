"""Tables of measured times: what they are of, where they are kept, and which widths they hold."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from netslim.core.errors import CheckpointError, NetslimError, NetslimWarning, UsageError, first_line
from netslim.core.files import atomic_write, make_folder, read_text

FORMAT = 1
_MOST = 64_000_000  # bytes of a file
Points = dict[str, dict[tuple[int, ...], float]]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What times depend on besides the network.

    Attributes:
        engine, version: what ran.
        processor: its name.
        threads, batch: of a call.
        step: what the engine pads widths to.
        int8: whether layers are in 8-bit integers.
    """

    engine: str
    version: str
    processor: str
    threads: int
    batch: int
    step: int
    int8: bool = False

    def __str__(self) -> str:
        return (
            f"{self.engine} {self.version}{', int8' * self.int8}, {self.threads} thread{'s' * (self.threads > 1)}, "
            f"batch {self.batch}, {self.processor}"
        )


@dataclass
class Table:
    """Times of pieces.

    Attributes:
        conditions: what they were measured under.
        points: by kind of piece and widths, seconds for a batch.
        drift: by how much the time of one and the same piece rose or fell while the others were measured.
    """

    conditions: Conditions
    points: Points = field(default_factory=dict)
    drift: float = 0.0

    def lacks(self, kind: str, widths: tuple[int, ...]) -> bool:
        """Whether a time is still missing."""
        return widths not in self.points.get(kind, {})

    def add(self, kind: str, widths: tuple[int, ...], seconds: float) -> None:
        """Notes a time."""
        self.points.setdefault(kind, {})[widths] = seconds

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        make_folder(path.parent)
        points = {
            kind: [[*widths, seconds] for widths, seconds in sorted(own.items())] for kind, own in self.points.items()
        }
        said = {"netslim_latency": FORMAT, **asdict(self.conditions), "drift": self.drift, "points": points}
        atomic_write(path, json.dumps(said, indent=0).encode())


def read_table(path: Path) -> Table:
    """A table from its file. Raises CheckpointError if that is missing, or is none."""
    if not path.is_file():
        raise CheckpointError(f"no such file: {path}{' (it is a folder)' if path.is_dir() else ''}")
    try:
        said = json.loads(read_text(path, _MOST))
        conditions = Conditions(**{name: {"int8": False, **said}[name] for name in Conditions.__dataclass_fields__})
        points = {kind: {tuple(p[:-1]): float(p[-1]) for p in own} for kind, own in said["points"].items()}
        return Table(conditions, points, float(said["drift"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is no table of latencies; `netslim profile MODEL` makes one ({type(error).__name__}: {error})"
        ) from error


def kept_at(conditions: Conditions) -> Path:
    """Where this machine keeps the table for such conditions: in the user's cache."""
    key: dict[str, Any] = asdict(conditions)
    if not conditions.int8:  # as tables were named before there were any in int8
        del key["int8"]
    digest = hashlib.sha256(json.dumps([FORMAT, key], sort_keys=True).encode()).hexdigest()[:12]
    name = f"{conditions.engine}{'-int8' * conditions.int8}-t{conditions.threads}-b{conditions.batch}-{digest}.json"
    return cache_folder() / "latency" / name


def remembered(conditions: Conditions) -> Table:
    """This machine's table for such conditions; an empty one where none is kept, or none that can be read."""
    path = kept_at(conditions)
    try:
        return read_table(path) if path.is_file() else Table(conditions)
    except (OSError, CheckpointError) as error:
        warnings.warn(f"{first_line(error)}: the times are measured again", NetslimWarning, stacklevel=2)
        return Table(conditions)


def remember(table: Table) -> None:
    """Keeps this machine's table; where that can't be, a warning says so: a plan needs no memory."""
    try:
        table.write(kept_at(table.conditions))
    except (OSError, NetslimError) as error:
        warnings.warn(f"the times are not remembered: {first_line(error)}", NetslimWarning, stacklevel=2)


def cache_folder() -> Path:
    """netslim's folder in the user's cache, for what was measured on this machine."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netslim"


def check_same(path: Path, table: Table, here: Conditions) -> bool:
    """Whether a table is of this very machine. Raises UsageError if it is of another call, or of another version here.

    Times of another processor are taken as they are: that is what a table is handed over for.
    """
    found = table.conditions
    for name in ("engine", "threads", "batch", "int8"):
        given, wanted = getattr(found, name), getattr(here, name)
        if given != wanted:
            setting = "latency_batch" if name == "batch" else name
            raise UsageError(
                f"{path} is of {name} {given}, and {wanted} was asked for; type `{setting}={given!r}`, or another table"
            )
    if found.processor != here.processor:
        return False
    if found.version != here.version:
        raise UsageError(
            f"{path} was measured with {found.engine} {found.version}, and here is {here.version}: "
            f"measure again (`netslim profile`), or leave `table` out"
        )
    return True


def grid(full: int, falls: bool, step: int) -> tuple[int, ...]:
    """The widths that are measured of a width up to `full`: few small ones, and about each half of the next."""
    padded = -(-full // step) * step
    if not falls:
        return (full,)
    found = {full, step // 2} if full > step // 2 else {full}
    width = padded
    while width > step:
        found.add(min(width, full))
        width = max(step, -(-(width // 2) // step) * step)
    if full >= 4 * step:
        found.add(-(-(padded * 3 // 4) // step) * step)
    found.add(min(step, full))
    return tuple(sorted(found))
