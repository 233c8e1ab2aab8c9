"""How jobs of Slurm stand; imported only where submitit is there."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Collection

from submitit.slurm.slurm import SlurmInfoWatcher

_HEAD = "JobID|State|NodeList"


class States(SlurmInfoWatcher):
    """Asks `sacct`, and `squeue` where Slurm keeps no accounts: small clusters often keep none.

    submitit asks `sacct` alone, and where that fails would wait for ever for a job that was cancelled. A job that has
    left the queue has ended.
    """

    def update(self) -> None:
        """Asks for all jobs that were not done when last asked for."""
        asked = {job.partition("_")[0] for job in self._registered - self._finished}
        if not asked:
            return
        self._num_calls += 1
        self._info_dict.update(self.read_info(_said_by_accounts(asked) or _said_by_queue(asked)))
        self._last_status_check = time.time()
        self._finished |= {job for job in self._registered - self._finished if self.is_done(job, mode="cache")}


def _said_by_accounts(jobs: Collection[str]) -> str:
    return _said("sacct", "-o", _HEAD.replace("|", ","), "--parsable2", "-j", ",".join(jobs)) or ""


def _said_by_queue(jobs: Collection[str]) -> str:
    """In the words of `sacct`; nothing while the queue can't be asked."""
    queued = _said("squeue", "--noheader", "--states=all", "--format=%i|%T|%N")
    if queued is None:
        return ""
    lines = queued.splitlines()
    known = {line.partition("|")[0].partition("_")[0] for line in lines}
    return "\n".join([_HEAD, *lines, *(f"{job}|GONE|" for job in jobs if job not in known)])


def _said(*command: str) -> str | None:
    """What a command prints; None where it fails, or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
