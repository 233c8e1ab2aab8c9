"""Functions as jobs of Slurm, through submitit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netslim.core.errors import ArgumentError, InterruptedRunError, NetslimError, UsageError, retold
from netslim.core.files import make_folder, write_errors
from netslim.stages.slim.durations import job_minutes

if TYPE_CHECKING:
    from submitit import Job
    from submitit.helpers import DelayedSubmission

_ALLOWED = (
    "sbatch's options, the time of a job among them: `slurm=['time=4h']`, and gpus-per-node=1, partition=NAME ..."
)
_ASKED_EVERY = 60  # seconds, once jobs run for longer
_THREADS = (
    "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}}"  # not all of the node
)


@dataclass(frozen=True)
class Work:
    """A function and what it is given, as a job does it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __call__(self) -> tuple[NetslimError | None, Any]:
        """What the function raised, and what it gave."""
        try:
            return None, self.function(*self.arguments)
        except InterruptedRunError as error:  # no result: Slurm may queue the job again, and it goes on
            raise SystemExit(error.exit_code) from error
        except NetslimError as error:
            return retold(error, str(error)), None

    def checkpoint(self) -> DelayedSubmission:
        """What is queued again where the job's time is over: the same, which goes on by its files."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class Slurm:
    """Where jobs are sent to.

    Args:
        folder: of the jobs' logs; all machines see it.
        options: sbatch's, as `NAME=VALUE` or `NAME`; those of every job.

    Raises:
        ArgumentError: no time, or no options.
        UsageError: submitit is not installed, or this machine has no Slurm.
    """

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._options = dict(_option(options, text) for text in options)
        if "time" not in self._options:
            raise ArgumentError("slurm", [*options], _ALLOWED)
        self._minutes = job_minutes(str(self._options.pop("time")))
        self._folder = folder
        try:
            with _logs_left_alone():
                from submitit import SlurmExecutor, SlurmJob

                from netslim.stages.slim.slurm.states import States
        except ImportError as error:
            raise UsageError("jobs are sent by submitit: type pip install 'netslim[slurm]'") from error
        if SlurmExecutor.affinity() < 0:
            raise UsageError("no Slurm here: `slurm` sends jobs by sbatch and srun, which this machine does not have")
        SlurmJob.watcher = States(_ASKED_EVERY)

    def submit(self, work: Work, name: str) -> Job[Any]:
        """Sends a job. Raises UsageError with sbatch's words if it is refused."""
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        with write_errors(self._folder):
            make_folder(self._folder)
        executor = SlurmExecutor(self._folder)
        executor.update_parameters(
            time=self._minutes, job_name=name, additional_parameters=self._options, setup=[_THREADS]
        )
        try:
            return executor.submit(work)
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            raise UsageError(f"sbatch refused a job: {_last_line(str(error))}") from error

    def job(self, number: str) -> Job[Any]:
        """One that was sent before."""
        from submitit import SlurmJob

        return SlurmJob(self._folder, number)


@contextmanager
def _logs_left_alone() -> Iterator[None]:
    """While submitit is imported, which closes the handlers of all logs but for a variable. Its jobs write theirs."""
    name = "SUBMITIT_LOG_LEVEL"
    before = os.environ.get(name)
    os.environ[name] = "NOCONFIG"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def log_of(job: Job[Any]) -> Path:
    """The file into which a job prints."""
    return Path(job.paths.stdout)


def result_of(job: Job[Any]) -> Any:
    """What a job that is done has given. Raises what it raised, or NetslimError if it ended without a word."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        raised, found = job.result()
    except (FailedJobError, UncompletedJobError) as error:
        raise NetslimError(f"job {job.job_id} ended as {job.state} without a result: see {job.paths.stderr}") from error
    if raised is not None:
        raise raised
    return found


def _option(options: Sequence[str], text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name.strip() or (equals and not value.strip()):
        raise ArgumentError("slurm", [*options], _ALLOWED)
    return name.strip().lstrip("-").replace("_", "-"), value.strip() if equals else True


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip(" -")), "no word of it")
