"""`netslim report`: one page of one or several runs, with what only running the networks can say."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netslim.core.errors import ArgumentError, NetslimError, NetslimWarning, UsageError
from netslim.core.files import atomic_write, check_writable, file_hash
from netslim.core.runs.file_names import PAGE
from netslim.report.console import say
from netslim.report.page.beside import check_replaceable
from netslim.report.page.chain import runs_in
from netslim.report.page.commands import spelled_command
from netslim.report.page.findings import Findings, HashCheck, Speed
from netslim.report.page.render import as_dict, page_text
from netslim.report.page.run_folder import Run
from netslim.report.page.story import Story
from netslim.report.page.trust import checks_of, verdict
from netslim.report.page.whole import whole_of
from netslim.stages.report.config import ReportConfig
from netslim.stages.report.files import large_file, origin_file, small_file
from netslim.stages.report.images import look_at_images
from netslim.stages.report.speed import known_speeds, measure
from netslim.stages.report.transferred import transferred

SUFFIXES = (".html", ".htm")


def run(config: ReportConfig) -> dict[str, Any]:
    """Writes the page of the runs in `config.folders`. Returns its path and what it says in short.

    Raises:
        UsageError: a folder is not there or holds no run; a page that is no `.html` file, or would replace another
            file.
        NetslimError: a `run.json` is damaged, or the page can't be written.
    """
    return _write(config, timed=False)


def _write(config: ReportConfig, *, timed: bool) -> dict[str, Any]:
    target = _target(config)
    runs = runs_in(config.folders)
    check_replaceable(target)
    check_writable(target)
    told = Story(tuple(runs), Findings())
    found = _findings(config, told, target, timed=timed)
    whole = whole_of(config.folders[0]) if len(config.folders) == 1 else None
    atomic_write(target, page_text(runs, found, whole).encode(errors="replace"))
    told = Story(tuple(runs), found, whole)
    checks = checks_of(told)
    answer, why = verdict(checks)
    count = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    say(f"wrote {target}: {count}; may I trust it? {answer} ({why})")
    return {
        "file": str(target),
        "runs": [str(each.folder) for each in runs],
        "params": told.params,
        "macs": told.macs,
        "accuracy": told.accuracy,
        "accuracy_before": told.accuracy_before,
        "interval": told.interval,
        "checks": [{"mark": check.mark, "title": check.title, "detail": check.detail} for check in checks],
        **as_dict(found),
    }


def make_page(folder: Path, *, timed: bool = False, **settings: Any) -> Path | None:
    """The page of a folder at the end of a longer work, which must not fail for it.

    Args:
        folder: of the run.
        timed: whether the latency is measured where it is not known yet.
        settings: see `ReportConfig`.

    Returns:
        `report.html` in the folder; None, after a warning in one line, where it can't be made.
    """
    try:
        return Path(_write(ReportConfig(folders=[folder], **settings), timed=timed)["file"])
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        warnings.warn(f"{folder / PAGE} was not written: {why}", NetslimWarning, stacklevel=2)
        return None


def _target(config: ReportConfig) -> Path:
    if not config.folders:
        raise UsageError("name one folder of a run or several")
    if config.page.suffix.lower() not in SUFFIXES:
        raise ArgumentError("out", config.page, "the page is an HTML file: type a name that ends in .html")
    return config.page


def _findings(config: ReportConfig, told: Story, target: Path, *, timed: bool) -> Findings:
    large, small = large_file(told), small_file(told)
    images, why = None, "Nothing was pruned yet: there is one network only."
    speeds: tuple[Speed, ...] = ()
    if large is not None and small is not None:
        images, why = _images(config, large, small)
        speeds = _speeds(config, large, small, target, timed=timed)
    elif told.cuts:
        why = f"The file of the network {'after' if large else 'before'} pruning is not there any more."
    return Findings(
        images=images,
        no_images=why,
        speeds=speeds,
        hashes=_hashes(told.chain),
        transferred=transferred(told.chain[0]),
        sizes=(large.stat().st_size, small.stat().st_size) if large and small else None,
        bench=spelled_command("report", {"folders": list(map(str, config.folders)), "bench": True}),
    )


def _speeds(config: ReportConfig, large: Path, small: Path, target: Path, *, timed: bool) -> tuple[Speed, ...]:
    """What is known of the latency or is measured now; the page is worth having without it, unless it was asked for."""
    if config.bench:
        return measure(config, large, small, target)
    known = known_speeds(config, large, small, target)
    if known or not timed:
        return known
    try:
        return measure(config, large, small, target)
    except NetslimError as error:
        say(f"no latency: {error}")
        return ()


def _images(config: ReportConfig, large: Path, small: Path) -> tuple[Any, str]:
    """What both networks say to the test images, or why that is not known: the page is worth having without it."""
    if not config.images:
        return None, "Left out, as asked for."
    try:
        return look_at_images(config, large, small), ""
    except NetslimError as error:
        say(f"no images: {error}")
        return None, f"The networks were not run on images: {' '.join(str(error).split())}."


def _hashes(chain: Sequence[Run]) -> tuple[HashCheck, ...]:
    checks = []
    for each in chain:
        if each.origin is None or not each.origin.sha256:
            continue
        file = origin_file(each)
        same = None if file is None else file_hash(file) == each.origin.sha256
        checks.append(HashCheck(path=each.origin.path, sha256=each.origin.sha256, same=same))
    return tuple(checks)
