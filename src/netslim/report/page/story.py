"""What the runs of a page came to: the network before and after, its phases, and how sure the accuracy is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from netslim.report.page.chain import story
from netslim.report.page.commands import command_of, spelled_command
from netslim.report.page.findings import Findings
from netslim.report.page.measures import Measure, before_cut, measure_of, on_test, per_epoch
from netslim.report.page.plan_file import PlanFile
from netslim.report.page.run_folder import Run
from netslim.report.page.whole import Whole
from netslim.report.page.wilson import wilson_interval

WORK = ("train", "prune")  # stages that make networks
TRIALS = ("sweep", "sensitivity")  # stages that try some and keep none
NOISE_IMAGES, NOISE_SHARE = 2, 0.002  # answers that may differ between devices and precisions: so many, or of all


@dataclass(frozen=True)
class Story:
    """The runs of a page, read as one piece of work.

    Attributes:
        every: all runs that were found.
        findings: what was found out beside them.
        whole: the `netslim slim` whose steps they are, on a page of it.
    """

    every: tuple[Run, ...]
    findings: Findings
    whole: Whole | None = None

    @cached_property
    def chain(self) -> list[Run]:
        """The runs that led to the last network, in order."""
        return story([run for run in self.every if run.record.stage in WORK]) or [*self.every]

    @cached_property
    def others(self) -> list[Run]:
        """Runs that did not."""
        mine = {id(run) for run in self.chain}
        return [run for run in self.every if id(run) not in mine]

    @property
    def last(self) -> Run:
        """The run whose network the page is about."""
        return self.chain[-1]

    @property
    def trial(self) -> Run | None:
        """The run that the page is about, where it is one that tried prunings and the others led to it."""
        last = self.every[-1]
        return last if last.record.stage in TRIALS and len(story(self.every)) == len(self.every) else None

    @property
    def title(self) -> str:
        """What the page is called."""
        return self.whole.name if self.whole else (self.trial or self.last).name

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return (self.trial or self.last).finished and (self.whole is None or self.whole.finished)

    @property
    def go_on(self) -> str:
        """The command that does what is left; empty if there is nothing, or if it is not known."""
        if self.finished:
            return ""
        if self.whole is None:
            return command_of(self.trial or self.last)
        return spelled_command("slim", self.whole.file.settings) if self.whole.file.settings else ""

    @cached_property
    def cuts(self) -> list[Run]:
        """The prunings."""
        return [run for run in self.chain if run.record.stage == "prune"]

    @cached_property
    def longer_after(self) -> tuple[int, int] | None:
        """Epochs before the first pruning and after it, where the latter are more and the former began from scratch."""
        if not self.cuts or self.chain[0].record.parents:
            return None
        first = self.chain.index(self.cuts[0])
        before, after = (sum(len(run.rows) for run in part) for part in (self.chain[:first], self.chain[first:]))
        return (before, after) if 0 < before < after else None

    @property
    def plan(self) -> PlanFile | None:
        """What was removed, relative to the unpruned network."""
        return next((run.plan for run in reversed(self.cuts) if run.plan), None)

    @cached_property
    def measure(self) -> Measure:
        """What the networks are judged by."""
        return measure_of(self.chain)

    @property
    def params(self) -> tuple[int | None, int | None]:
        """Parameters before and after; of a network that was not cut the second is None."""
        return (self.plan.before.params, self.plan.after.params) if self.plan else (self._recorded("params"), None)

    @property
    def macs(self) -> tuple[int | None, int | None]:
        """MACs before and after; of a network that was not cut the second is None."""
        return (self.plan.before.macs, self.plan.after.macs) if self.plan else (self._recorded("macs"), None)

    @property
    def recorded(self) -> float | None:
        """Accuracy of the last network on the test images, as its run noted it."""
        return on_test(self.last.numbers)

    @cached_property
    def contradicted(self) -> float | None:
        """Accuracy of the last network when it was run on these images again, where that is another than was noted."""
        seen, noted = self.findings.images, self.recorded
        if seen is None or noted is None or not self.measure.is_share:
            return None
        if seen.count != (self.last.numbers.test_images or seen.count) or seen.dataset != (
            self.dataset or seen.dataset
        ):
            return None
        noise = max(NOISE_IMAGES, NOISE_SHARE * seen.count)
        return seen.small_right / seen.count if abs(seen.small_right - noted * seen.count) > noise else None

    @property
    def accuracy(self) -> float | None:
        """Of the last network on the test images: as its run noted it, or as it was found to be now."""
        return self.recorded if self.contradicted is None else self.contradicted

    @property
    def accuracy_before(self) -> float | None:
        """Of the network before the first pruning on the same images."""
        return before_cut(self.cuts[0].numbers) if self.cuts else None

    @property
    def so_far(self) -> float | None:
        """Best value on the images that choose the epoch, of a last run that is not finished."""
        values = () if self.last.finished or not self.measure.is_share else per_epoch(self.last.rows)
        return max(values, default=None)

    @property
    def test_images(self) -> int | None:
        """How many test images there are, where a run or a look at them says it."""
        counts = [run.numbers.test_images for run in reversed(self.chain) if run.numbers.test_images]
        return counts[0] if counts else self.findings.images.count if self.findings.images else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the accuracy, where it is a share of counted images."""
        if self.accuracy is None or not self.test_images or not self.measure.is_share:
            return None
        return wilson_interval(self.accuracy, self.test_images)

    @property
    def network(self) -> str:
        """The architecture, in a few words."""
        recorded = next((run.numbers.arch for run in reversed(self.chain) if run.numbers.arch), None)
        arch = (self.plan.arch if self.plan else None) or recorded
        given = {} if self.last.origin else self.last.config  # else they are of no use, and stand there by default
        name = arch.name if arch else str(given.get("arch") or "a network")
        depth = (arch.arguments if arch else given).get("depth")
        return f"{name}, depth {depth}" if depth else name

    @property
    def dataset(self) -> str:
        """The data set's name, as the last run that says one has it."""
        return next((str(run.config["dataset"]) for run in reversed(self.chain) if run.config.get("dataset")), "")

    def _recorded(self, name: str) -> int | None:
        values: Sequence[int | None] = [getattr(run.numbers, name) for run in reversed(self.chain)]
        return next((value for value in values if value is not None), None)
