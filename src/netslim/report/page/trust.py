"""May one trust the numbers? What speaks for them, what against, and what nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from netslim.report.console import spelled
from netslim.report.page.findings import HashCheck
from netslim.report.page.measures import higher_is_better
from netslim.report.page.story import Story
from netslim.report.page.wilson import sign_test

Mark = Literal["yes", "look", "open"]
SURE = 0.05  # p-value under which a difference is more than chance
WORSE = 0.02  # of a metric's size: more is a line of its own
TOLERANCE = 1e-3  # of a logit: larger ones are worth a look


@dataclass(frozen=True, kw_only=True)
class Check:
    """A line of the list: `mark` is "yes" (it holds), "look" (it does not) or "open" (it is not known)."""

    mark: Mark
    title: str
    detail: str


def checks_of(told: Story) -> list[Check]:
    """All checks that apply, in the order in which they matter."""
    found = [each(told) for each in _CHECKS]
    return [check for check in found if check is not None]


def verdict(checks: list[Check]) -> tuple[str, str]:
    """An answer in a word or two, and what it rests on."""
    looks = [check for check in checks if check.mark == "look"]
    holds = sum(check.mark == "yes" for check in checks)
    unknown = sum(check.mark == "open" for check in checks)
    rest = f"{holds} checks hold" + (f", {unknown} not known" if unknown else "")
    if looks:
        return "With care", f"{len(looks)} to look at: {looks[0].title.lower()}; {rest}"
    return ("Yes" if holds > unknown else "Not known yet"), rest


def _complete(told: Story) -> Check | None:
    cut_off = [run for run in told.chain if not run.finished]
    if not cut_off and told.whole is not None and not told.whole.finished:
        return Check(mark="look", title="Not all steps are done", detail="Type the same command again to go on.")
    if not cut_off:
        return Check(mark="yes", title="Every run came to its end", detail=f"{len(told.chain)} of {len(told.chain)}")
    names = ", ".join(f"{run.name} ({_progress(len(run.rows), run.config.get('epochs'))})" for run in cut_off)
    return Check(mark="look", title="A run is not finished", detail=f"{names}. Type its command again to go on.")


def _progress(done: int, epochs: object) -> str:
    return f"{done} of {epochs} epochs" if epochs else "no result yet"


def _read(told: Story) -> Check | None:
    problems = [f"{run.name}: {problem}" for run in told.every for problem in run.problems]
    return Check(mark="look", title="Files could not be read", detail="; ".join(problems)) if problems else None


def _cut(told: Story) -> Check | None:
    if not told.cuts:
        return None
    differences = [run.numbers.max_difference for run in told.cuts if run.numbers.max_difference is not None]
    title = "The rebuilt network is the masked one"
    if not differences:
        return Check(mark="open", title=title, detail="no comparison is recorded")
    detail = f"largest difference of an output when both were run: {max(differences):.1e}"
    return Check(mark="yes" if max(differences) <= TOLERANCE else "look", title=title, detail=detail)


def _measured(told: Story) -> Check | None:
    if told.contradicted is None or told.recorded is None or told.findings.images is None:
        return None
    detail = (
        f"recorded {told.measure.shown(told.recorded)}, now {told.measure.shown(told.contradicted)} of the same "
        f"{told.findings.images.count:,} test images; the numbers on top are of the file that is there now"
    )
    return Check(mark="look", title="This file is not the one that was measured", detail=detail)


def _images(told: Story) -> Check | None:
    if told.accuracy is None:
        return Check(mark="open", title="Accuracy on test images", detail="none is recorded for the last run")
    if not told.measure.is_share:
        return None
    if told.interval is None:
        detail = "how many there are is not recorded; netslim report counts them where the images are at hand"
        return Check(mark="open", title="Number of test images", detail=detail)
    low, high = (told.measure.shown(value) for value in told.interval)
    count = told.test_images
    detail = (
        f"{told.measure.shown(told.accuracy)} of {count:,} test images; with so many, 95 % of the time the true share "
        f"lies between {low} and {high} (Wilson)"
    )
    return Check(mark="yes", title="Accuracy is counted on test images", detail=detail)


def _paired(told: Story) -> Check | None:
    found = told.findings.images
    if found is None or not told.cuts:
        return None
    chance = sign_test(found.only_large, found.only_small)
    detail = (
        f"of the same {found.count:,} images {found.only_large:,} are right before only, {found.only_small:,} after "
        f"only (exact McNemar test: p = {chance:.2g})"
    )
    worse = chance < SURE and found.only_large > found.only_small
    title = "The small network is worse" if worse else "The small network is not shown to be worse"
    return Check(mark="look" if worse else "yes", title=title, detail=detail)


def _training(told: Story) -> Check | None:
    """A network that was pruned early is worse than it would be: what it is compared with says little."""
    if told.longer_after is None:
        return None
    before, after = told.longer_after
    detail = (
        f"epochs before the pruning: {before}, after it: {after}; what the unpruned network would reach with all of "
        "them was not measured"
    )
    return Check(mark="open", title="The large network after as much training", detail=detail)


def _metric(told: Story) -> Check | None:
    """For what is no share of images, and can't be counted."""
    before, after, higher = told.accuracy_before, told.accuracy, higher_is_better(told.chain)
    if told.measure.is_share or before is None or after is None:
        return None
    detail = f"{told.measure.label} {told.measure.shown(before)} before, {told.measure.shown(after)} after"
    if higher is None:
        return Check(mark="open", title="Whether the small network is worse", detail=f"{detail}; which is better?")
    worse = (before - after if higher else after - before) > WORSE * abs(before)
    title = "The small network is worse" if worse else "The small network is about as good"
    return Check(mark="look" if worse else "yes", title=title, detail=detail)


def _choice(told: Story) -> Check | None:
    used = [run.name for run in told.chain if run.record.stage == "train" and run.config.get("select_on") == "test"]
    if used:
        detail = (
            f"{', '.join(used)} chose the best epoch on the test images: their accuracy is too high by an unknown bit"
        )
        return Check(mark="look", title="Test images chose the model", detail=detail)
    if not any(run.record.stage == "train" for run in told.chain):
        return None
    detail = "held-out training images chose the epochs"
    return Check(mark="yes", title="Test images chose nothing", detail=detail)


def _seeds(told: Story) -> Check | None:
    whole = told.whole
    if whole and whole.shown and whole.finished and (several := (whole.file.settings or {}).get("seeds")):
        return Check(mark="yes", title=f"{len(several.split(','))} seeds", detail=f"{several}: their means are above")
    seeds = sorted({str(run.config["seed"]) for run in told.every if "seed" in run.config})
    if not seeds:
        return None
    if len(seeds) == 1:
        detail = f"seed {seeds[0]}: how much another one would change is not known"
        return Check(mark="open", title="One seed", detail=detail)
    return Check(mark="yes", title=f"{len(seeds)} seeds", detail=f"{', '.join(seeds)}: see all runs below")


def _code(told: Story) -> Check | None:
    commits = sorted({run.record.commit for run in told.chain})
    changed = [commit for commit in commits if commit.endswith("+")]
    if commits == ["unknown"]:
        versions = {run.record.versions.get("netslim", "unknown") for run in told.chain}
        detail = f"netslim {', '.join(sorted(versions))}, installed: it was no checkout"
        return Check(mark="open", title="Commit of the code", detail=detail)
    if changed:
        return Check(mark="look", title="The code had local changes", detail=f"commit {', '.join(changed)}")
    if len(commits) > 1:
        return Check(mark="look", title="The runs are of different code", detail=f"commits {', '.join(commits)}")
    return Check(mark="yes", title="All runs are of one commit", detail=commits[0])


def _warned(told: Story) -> Check | None:
    texts = [text for run in told.chain for text in run.record.warnings or ()]
    texts += [text for text in (told.plan.notes if told.plan else []) if text not in texts]
    if texts:
        return Check(mark="look", title="netslim warned", detail=spelled("; ".join(texts)))
    if any(run.record.warnings is None for run in told.chain):
        return Check(mark="open", title="Warnings", detail="not recorded by every run")
    return Check(mark="yes", title="netslim warned of nothing", detail="neither the plan nor any run")


def _hashes(told: Story) -> Check | None:
    found = told.findings.hashes
    if not found:
        return None
    changed = [check.path for check in found if check.same is False]
    if changed:
        return Check(mark="look", title="A file has changed since", detail=", ".join(changed))
    return _there(found)


def _there(found: tuple[HashCheck, ...]) -> Check:
    same = sum(check.same is True for check in found)
    mark: Mark = "yes" if same == len(found) else "open"
    detail = f"{same} of {len(found)} files have the SHA-256 that the run after them recorded"
    return Check(mark=mark, title="Each run starts from the file of the one before", detail=detail)


_CHECKS: tuple[Callable[[Story], Check | None], ...] = (
    _measured,
    _complete,
    _read,
    _cut,
    _images,
    _choice,
    _paired,
    _metric,
    _training,
    _seeds,
    _hashes,
    _code,
    _warned,
)
