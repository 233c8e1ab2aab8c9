"""The page beside a run: written when the run has ended, and never a reason for the run to fail."""

from __future__ import annotations

import warnings
from pathlib import Path

from netslim.core.errors import NetslimWarning, UsageError
from netslim.core.files import atomic_write
from netslim.core.runs.file_names import PAGE
from netslim.report.page.findings import Findings

_HEAD = 4096  # bytes in which the mark of a page stands


def write_beside(folder: Path) -> Path | None:
    """Writes `report.html` into a run folder, from what it and the runs before it hold; runs no network.

    Returns:
        The file; None, after a warning in one line, where it can't be made.
    """
    try:
        return _write(folder)
    except Exception as error:  # a picture of the work is not worth the work
        why = " ".join(str(error).split()) or type(error).__name__
        warnings.warn(f"{folder / PAGE} was not written: {why}", NetslimWarning, stacklevel=2)
        return None


def write_missing(folder: Path) -> None:
    """The page of a run that is finished, where its process was killed before it had written one."""
    if not (folder / PAGE).exists():
        write_beside(folder)


def check_replaceable(target: Path) -> None:
    """Raises UsageError if there is a file that is no page of netslim's."""
    from netslim.report.page.render import GENERATOR

    if not target.is_file() or target.stat().st_size == 0:
        return
    with target.open("rb") as stream:
        if GENERATOR.encode() not in stream.read(_HEAD):
            raise UsageError(
                f"{target} is there already, and is no page of netslim: move it away, or type another name"
            )


def _write(folder: Path) -> Path:
    from netslim.report.page.chain import runs_in
    from netslim.report.page.commands import spelled_command
    from netslim.report.page.render import page_text
    from netslim.report.page.whole import whole_of

    target = folder / PAGE
    check_replaceable(target)
    asked = {"folders": [str(folder)]}
    found = Findings(fuller=spelled_command("report", asked), bench=spelled_command("report", {**asked, "bench": True}))
    atomic_write(target, page_text(runs_in([folder]), found, whole_of(folder)).encode(errors="replace"))
    return target
