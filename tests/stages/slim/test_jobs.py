"""Variants as jobs: which wait for which, what is sent again and what is waited for."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from fake_slurm import fake_slurm
from started_process import usual_signals

from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.network import load
from netslim.stages.slim.jobs import branches_of, run_jobs
from netslim.stages.slim.recipe import Recipe, Step
from netslim.stages.slim.slurm.executor import Slurm
from netslim.stages.slim.variants import axes_of, variants_of

RECIPE = Recipe(
    shared={"dataset": "digits"},
    steps=(
        Step(name="dense", verb="train", settings={"epochs": 2}),
        Step(name="prune", verb="prune", starts=("dense",), settings={"target_macs": 0.5}),
        Step(name="tune", verb="train", starts=("prune",)),
    ),
)


def names(recipe: Recipe, seeds: str | None, sweep: list[str]) -> list[tuple[str, str]]:
    """Each branch, and what it waits for."""
    branches = branches_of(variants_of(recipe, axes_of(recipe, seeds, sweep), Path("r")))
    return [(each.name, each.after.name if each.after else "") for each in branches]


def test_what_variants_have_in_common_is_one_branch() -> None:
    assert names(RECIPE, None, []) == [("dense, prune, tune", "")]
    assert names(RECIPE, "1,2", []) == [("dense, prune, tune of seed 1", ""), ("dense, prune, tune of seed 2", "")]
    assert names(RECIPE, "1,2", ["prune.percent=0.3,0.5", "tune.lr=0.1,0.2"])[:5] == [
        ("dense of seed 1", ""),
        ("prune of seed 1, prune.percent 0.3", "dense of seed 1"),
        ("tune of seed 1, prune.percent 0.3, tune.lr 0.1", "prune of seed 1, prune.percent 0.3"),
        ("tune of seed 1, prune.percent 0.3, tune.lr 0.2", "prune of seed 1, prune.percent 0.3"),
        ("prune of seed 1, prune.percent 0.5", "dense of seed 1"),
    ]


def test_a_failing_job_ends_what_starts_from_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_slurm(tmp_path / "fake", monkeypatch)
    cut = Step(name="cut", verb="prune", starts=(str(tmp_path / "gone.pth.tar"),))
    recipe = Recipe(shared={}, steps=(cut, Step(name="tune", verb="train", starts=("cut",))))
    variants = variants_of(recipe, axes_of(recipe, None, ["tune.epochs=1,2"]), tmp_path)
    with pytest.raises(CheckpointError, match=r"step 'cut': .*gone\.pth\.tar"):
        run_jobs(variants, Slurm(tmp_path / "jobs", ["time=1h"]), tmp_path)
    said = capsys.readouterr().out
    assert re.findall("(cut|tune): (job 1|failed)", said) == [("cut", "job 1"), ("cut", "failed")]
    (tmp_path / "jobs.json").write_text("{")
    with pytest.raises(NetslimError, match=r"jobs.json can't be read .*; delete it once no job of it runs"):
        run_jobs([], Slurm(tmp_path / "jobs", ["time=1h"]), tmp_path)


def test_a_job_that_is_refused_leaves_those_before_it_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sent = SimpleNamespace(job_id="7", paths=SimpleNamespace(stdout="7.out"), done=lambda: False)
    slurm = Mock(submit=Mock(side_effect=[sent, UsageError("sbatch refused a job: QOSMaxSubmitJobPerUserLimit")]))
    with pytest.raises(UsageError, match="refused a job"):
        run_jobs(variants_of(RECIPE, axes_of(RECIPE, "1,2", []), tmp_path), slurm, tmp_path)
    said = capsys.readouterr().out
    assert "dense, prune, tune of seed 1: job 7" in said
    assert said.endswith("going on by themselves: jobs 7; scancel 7 ends them\n")


RECIPE_FILE = """
dataset = "folder"
device = "cpu"

[[step]]
name = "dense"
verb = "train"
depth = 11
epochs = 2
batch_size = 8
precision = "fp32"

[[step]]
verb = "prune"
from = "dense"
percent = 0.4
recalibrate = 0
"""


@pytest.mark.slow
def test_jobs_outlive_who_sent_them(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_slurm(tmp_path / "fake", monkeypatch)
    (tmp_path / "my.toml").write_text(RECIPE_FILE)
    words = [sys.executable, "-m", "netslim", "slim", tmp_path / "my.toml", "--data-dir", folder, "--seeds", "1,2"]
    jobs, places = [*words, "--slurm", "time=10m"], [tmp_path / "jobs", tmp_path / "turns"]
    for place in places:
        place.mkdir()
    first = subprocess.Popen(jobs, cwd=places[0], stdout=subprocess.PIPE, text=True, preexec_fn=usual_signals)
    assert first.stdout is not None
    for line in first.stdout:
        if line.startswith("dense, prune of seed 2: job 3"):
            first.send_signal(signal.SIGINT)
            break
    rest = first.stdout.read()
    assert first.wait() == 130
    assert "going on by themselves: jobs 2, 3; scancel 2 3 ends them\ntype the same command again to go on" in rest
    again = subprocess.run(jobs, cwd=places[0], capture_output=True, text=True, check=True).stdout
    assert "dense, prune of seed 1: finished" in again or "seed-1/01-dense is finished" in again
    assert not list((tmp_path / "fake").glob("4.sh"))  # nothing was sent twice
    subprocess.run(words, cwd=places[1], check=True)
    for seed in ("seed-1", "seed-2"):
        found, expected = (load(place / "runs/slim" / seed / "small.pth.tar").state_dict() for place in places)
        assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
