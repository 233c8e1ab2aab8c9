"""Functions as jobs of a Slurm whose commands start processes of this machine."""

import logging
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fake_slurm import fake_slurm

from installed import needs
from netslim.core.errors import InterruptedRunError, NetslimError, UsageError
from netslim.stages.slim.slurm.executor import Slurm, Work, result_of

needs("submitit")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    fake_slurm(tmp_path / "fake", monkeypatch)
    return Slurm(tmp_path / "jobs", ["time=90m", "gpus_per_node=1", "--exclusive"])


def ended(job: Any) -> Any:
    until = time.monotonic() + 120
    while not job.done(force_check=True):
        assert time.monotonic() < until
        time.sleep(0.1)
    return job


@pytest.mark.parametrize("options", [["gpus-per-node=1"], ["=4h"], ["time="], []])
def test_options_that_are_none(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(UsageError, match=r"sbatch's options, the time of a job among them: `slurm=\['time=4h'\]`"):
        Slurm(tmp_path, options)


def test_a_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no Slurm here: `slurm` sends jobs by sbatch and srun"):
        Slurm(tmp_path, ["time=4h"])


def test_logs_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_slurm(tmp_path / "fake", monkeypatch)
    for name in [name for name in sys.modules if name.partition(".")[0] == "submitit"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(handler := logging.StreamHandler(), "close", Mock())
    monkeypatch.setenv("SUBMITIT_LOG_LEVEL", "INFO")
    Slurm(tmp_path, ["time=4h"])
    assert not handler.close.called
    assert os.environ["SUBMITIT_LOG_LEVEL"] == "INFO"


def test_a_job_gives_what_its_function_gives(slurm: Slurm, tmp_path: Path) -> None:
    job = ended(slurm.submit(Work(math.sqrt, (16,)), "root"))
    assert result_of(job) == 4
    script = next((tmp_path / "jobs").glob("*_submission.sh")).read_text().splitlines()
    assert {"#SBATCH --time=90", "#SBATCH --gpus-per-node=1", "#SBATCH --exclusive", "#SBATCH --job-name=root"} <= {
        *script
    }
    assert result_of(slurm.job(job.job_id)) == 4  # as a later process finds it


def test_a_job_that_ends_without_a_word(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("submitit.core.core.Job._results_timeout_s", 1)  # for slow disks, which this one is not
    job = ended(slurm.submit(Work(os._exit, (3,)), "dies"))
    with pytest.raises(NetslimError, match=r"job 1 ended as COMPLETED without a result: see .*1_0_log.err"):
        result_of(job)


def test_what_sbatch_refuses(tmp_path: Path, slurm: Slurm) -> None:
    closed = Slurm(tmp_path / "jobs", ["time=1h", "partition=closed"])
    with pytest.raises(UsageError, match=r"refused a job: .*invalid partition specified: closed"):
        closed.submit(Work(math.sqrt, (16,)), "root")


def raising(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_errors_meant_for_the_user_keep_their_kind() -> None:
    raised, found = Work(raising(UsageError("so not")), ())()
    assert (type(raised), str(raised), found) == (UsageError, "so not", None)


def test_a_job_that_is_stopped_has_no_result() -> None:
    with pytest.raises(SystemExit, match="143"):
        Work(raising(InterruptedRunError("stopped", 15)), ())()


def test_a_job_whose_time_is_over_is_queued_again_as_it_is() -> None:
    work = Work(math.sqrt, (16,))
    assert work.checkpoint().result() == (None, 4.0)
