"""The steps of several variants as jobs: what variants have in common is one job, for which theirs wait."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from netslim.core.errors import NetslimError, one_of
from netslim.core.files import write_json
from netslim.core.processes.signals import Stopped
from netslim.core.schemas import FileModel, as_model, read_json
from netslim.report.console import say
from netslim.stages.slim.settings import Planned
from netslim.stages.slim.slurm.executor import Slurm, Work, log_of, result_of
from netslim.stages.slim.step_folder import is_done, run_step
from netslim.stages.slim.variants import Variant
from netslim.training.signals import Interrupt

RECORD, FOLDER = "jobs.json", "jobs"
WAIT = 1.0  # seconds between two looks at the jobs


class JobsRecord(FileModel):
    """`jobs.json`: numbers of the jobs that were sent, by what they do."""

    jobs: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Branch:
    """Steps that the same variants have in common.

    Attributes:
        steps: one after the other.
        said: the values that these variants share: `seed 1`.
        after: what has to be done before.
    """

    steps: tuple[Planned, ...]
    said: str
    after: Branch | None

    @property
    def key(self) -> str:
        """A hash of what is done, and where."""
        told = [[str(each.folder), each.step.verb, each.config.model_dump(mode="json")] for each in self.steps]
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def name(self) -> str:
        """`dense, prune of seed 1`."""
        return one_of(each.step.name for each in self.steps) + (f" of {self.said}" if self.said else "")


def branches_of(variants: Sequence[Variant]) -> list[Branch]:
    """The steps of all variants, each once; what others start from comes first."""
    users: dict[Path, list[Variant]] = {}
    for variant in variants:
        for each in variant.steps:
            users.setdefault(each.folder, []).append(variant)
    found: dict[Path, Branch] = {}  # by the folder of its first step
    for variant in variants:
        before: Branch | None = None
        start = 0
        for end in range(1, len(variant.steps) + 1):
            same = users[variant.steps[start].folder]
            if end < len(variant.steps) and users[variant.steps[end].folder] == same:
                continue
            steps = tuple(variant.steps[start:end])
            new = Branch(steps=steps, said=_common(same), after=before)
            before = found.setdefault(steps[0].folder, new)
            start = end
    return [*found.values()]


def run_jobs(variants: Sequence[Variant], slurm: Slurm, root: Path) -> None:
    """Sends what is not done as jobs, as soon as what they start from is there, and waits for all of them.

    A job that an earlier process sent and that is not over is waited for.

    Raises:
        NetslimError: the first that a job raised, after all others have ended, but for those that start from it.
        UsageError: Slurm refused a job. Those before it go on.
        Stopped: a signal came. The jobs go on.
    """
    waiting = [branch for branch in branches_of(variants) if not all(map(is_done, branch.steps))]
    record = _Record(root / RECORD)
    running: dict[Branch, Any] = {}
    errors: list[NetslimError] = []
    try:
        with Interrupt() as interrupt:
            while waiting or running:
                for branch in [each for each in waiting if each.after not in (*waiting, *running)]:
                    running[branch] = _sent(branch, slurm, record)
                    waiting.remove(branch)
                for branch in [branch for branch, job in running.items() if job.done()]:
                    try:
                        result_of(running.pop(branch))
                        say(f"{branch.name}: finished")
                    except NetslimError as error:
                        say(f"{branch.name}: failed: {error}")
                        errors.append(error)
                        waiting = [each for each in waiting if not _needs(each, branch)]
                if interrupt.signal is not None:
                    raise Stopped(interrupt.signal)
                if running:
                    time.sleep(WAIT)
    finally:
        if running:  # a signal came, or a job was refused
            numbers = [job.job_id for job in running.values()]
            say(f"going on by themselves: jobs {one_of(numbers)}; scancel {' '.join(numbers)} ends them")
    if errors:
        raise errors[0]


def run_steps(steps: Sequence[Planned]) -> None:
    """What a job does."""
    for each in steps:
        run_step(each)


class _Record:
    """Which job does what, kept in a file so that a later process finds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._jobs = dict(as_model(JobsRecord, read_json(path)).jobs) if path.exists() else {}
        except (OSError, ValueError) as error:
            raise NetslimError(f"{path} can't be read ({error}); delete it once no job of it runs") from error

    def known(self, branch: Branch) -> str | None:
        return self._jobs.get(branch.key)

    def note(self, branch: Branch, number: str) -> None:
        self._jobs[branch.key] = number
        write_json(self._path, JobsRecord(jobs=self._jobs).model_dump(mode="json"))


def _sent(branch: Branch, slurm: Slurm, record: _Record) -> Any:
    number = record.known(branch)
    if number is not None:
        job = slurm.job(number)
        if not job.done(force_check=True) or all(map(is_done, branch.steps)):  # perhaps since a moment ago
            say(f"{branch.name}: job {number} is at it")
            return job
    job = slurm.submit(Work(run_steps, (branch.steps,)), "netslim")
    record.note(branch, job.job_id)
    say(f"{branch.name}: job {job.job_id}, which prints to {log_of(job)}")
    return job


def _needs(branch: Branch, other: Branch) -> bool:
    return branch.after is other or (branch.after is not None and _needs(branch.after, other))


def _common(variants: Sequence[Variant]) -> str:
    first, *others = (dict(variant.values).items() for variant in variants)
    return ", ".join(f"{key} {value}" for key, value in first if all((key, value) in own for own in others))
