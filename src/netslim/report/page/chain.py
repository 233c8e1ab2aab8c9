"""Which runs belong together: a run, and those that it went on from, in the order of the work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from netslim.core.errors import NetslimError, UsageError
from netslim.report.page.run_folder import Run, is_run, read_run
from netslim.report.page.whole import whole_of

LONGEST = 100  # runs on one page


def runs_in(folders: Sequence[Path]) -> list[Run]:
    """The runs in folders, those in their direct sub-folders, and what they went on from, in the order of the work.

    Raises:
        UsageError: a folder is not there or holds no run.
        NetslimError: the `run.json` of a folder is damaged.
    """
    found: dict[Path, Run] = {}
    for folder in folders:
        for place in _places(folder):
            found.setdefault(place.resolve(), read_run(place))
    for run in [*found.values()]:
        for earlier in _ancestors(run, found):
            found.setdefault(earlier.folder.resolve(), earlier)
    return _in_order(found.values())


def story(runs: Sequence[Run]) -> list[Run]:
    """The runs that led to the last one, which is the last to have been started, in order."""
    chain: list[Run] = []
    run: Run | None = runs[-1] if runs else None
    while run is not None and run not in chain:
        chain.insert(0, run)
        home = _home(run)
        run = next((other for other in runs if home is not None and other.folder.resolve() == home), None)
    return chain


def _places(folder: Path) -> list[Path]:
    if not folder.is_dir():
        what = "is a file: name the folder that it lies in" if folder.exists() else "is not there"
        raise UsageError(f"{folder} {what}")
    try:
        inside = sorted(path for path in _shown(folder).iterdir() if path.is_dir() and is_run(path))
    except OSError as error:
        raise NetslimError(f"cannot read {folder}: {error.strerror or error}") from error
    found = [*([folder] if is_run(folder) else []), *inside][:LONGEST]
    if not found:
        raise UsageError(f"{folder} holds no run of netslim (no run.json in it or in its sub-folders)")
    return found


def _shown(folder: Path) -> Path:
    """The folder, or the variant's that stands for all of a `netslim slim` with several."""
    whole = whole_of(folder)
    variant = folder / whole.shown if whole else folder
    return variant if variant.is_dir() else folder


def _ancestors(run: Run, known: dict[Path, Run]) -> Iterable[Run]:
    """Earlier runs, as far as their folders are still there and can be read."""
    seen = {run.folder.resolve()}
    home = _home(run)
    while home is not None and home not in seen and len(seen) < LONGEST:
        seen.add(home)
        try:
            earlier = known.get(home) or read_run(home)
        except NetslimError:
            return
        yield earlier
        home = _home(earlier)


def _home(run: Run) -> Path | None:
    """The folder of the run that wrote the file which this one went on from."""
    if run.origin is None:
        return None
    file, own = Path(run.origin.path), run.folder.resolve()
    try:
        places = [file.parent.resolve(), own.parent / file.parent.name]  # or the folders were moved together
        return next((place for place in places if is_run(place) and place != own), None)
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, links in a circle
        return None


def _in_order(runs: Iterable[Run]) -> list[Run]:
    """Each run after the one that it went on from, else by when they were started."""
    left = sorted(runs, key=lambda run: (run.record.started, str(run.folder)))
    done: list[Run] = []
    while left:
        waiting = {run.folder.resolve() for run in left}
        ready = next((run for run in left if _home(run) not in waiting), left[0])
        left.remove(ready)
        done.append(ready)
    return done
