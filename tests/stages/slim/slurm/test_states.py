"""How jobs stand, with accounts and without."""

import os
import time
from pathlib import Path

import pytest
from fake_slurm import fake_slurm

from installed import needs

needs("submitit")

from netslim.stages.slim.slurm.executor import Slurm, Work  # noqa: E402
from netslim.stages.slim.slurm.states import States  # noqa: E402


@pytest.fixture(params=[True, False], ids=["accounts", "no accounts"])
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    fake_slurm(tmp_path, monkeypatch)
    if not request.param:
        (tmp_path / "no_accounts").touch()
    return tmp_path


def test_a_job_that_was_cancelled_has_ended(folder: Path) -> None:
    job = Slurm(folder / "jobs", ["time=4h"]).submit(Work(time.sleep, (600,)), "waits")
    states = States(60)
    assert states.get_state(job.job_id, mode="force") == "RUNNING"
    assert not states.is_done(job.job_id, mode="force")
    job.cancel()
    until = time.monotonic() + 60
    while not states.is_done(job.job_id, mode="force"):
        assert time.monotonic() < until
    assert states.get_state(job.job_id) in ("CANCELLED", "GONE")


def test_where_nothing_can_be_asked_nothing_is_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while Slurm's controller starts again."""
    monkeypatch.setenv("PATH", os.devnull)
    states = States(60)
    assert states.get_state("1", mode="force") == "UNKNOWN"
    assert not states.is_done("1", mode="force")


def test_jobs_take_the_cores_that_were_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    job = Slurm(folder / "jobs", ["time=4h"]).submit(Work(os.getenv, ("OMP_NUM_THREADS",)), "counts")
    assert job.result() == (None, "3")
