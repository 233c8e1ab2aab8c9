"""Where the networks of a report's runs lie, also where the folders were moved together since."""

from __future__ import annotations

from pathlib import Path

from netslim.core.runs.file_names import BEST, PRUNED
from netslim.report.page.run_folder import Run
from netslim.report.page.story import Story

OF_STAGE = {"train": BEST, "prune": PRUNED}


def small_file(told: Story) -> Path | None:
    """The network that the last run came to; of one that is not finished the best so far."""
    run = told.last
    name = OF_STAGE.get(run.record.stage)
    return _there(run.folder / name) if name else None


def large_file(told: Story) -> Path | None:
    """The network that the first pruning was given."""
    return origin_file(told.cuts[0]) if told.cuts else None


def origin_file(run: Run) -> Path | None:
    """The file that a run went on from: where it was, or beside the run's folder."""
    if run.origin is None:
        return None
    path = Path(run.origin.path)
    parent = run.folder.resolve().parent
    return _there(path) or _there(parent / path.parent.name / path.name) or _there(parent / path.name)


def _there(path: Path) -> Path | None:
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None
