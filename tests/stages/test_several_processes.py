"""Two real processes on one run: the curve of one process, one writer, one message."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ranks import start_ranks, torchrun
from started_process import Started

from netslim.core.checkpoint import read_checkpoint

CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"
EPOCHS = 7  # of 3 steps with 8, 8 and 7 images
FIGURES = ("loss", "penalty", "train_top1", "top1", "eval_loss", "lr")
Train = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def command(folder: Path) -> list[object]:
    plain = ["train", "--dataset", "folder", "--data-dir", folder, "--depth", 11, "--batch-size", 8, "--lr", 0.01]
    return [*plain, "--device", "cpu", "--precision", "fp32", "--epochs", EPOCHS, "-sr", "--s", 0.001]


@pytest.fixture
def alone(run_train: Train, tmp_path: Path) -> Callable[..., Path]:
    def run(**given: Any) -> Path:
        run_train(save=tmp_path / "alone", epochs=EPOCHS, lr=0.01, sparsity_regularization=True, s=0.001, **given)
        return tmp_path / "alone"

    return run


def rows(save: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (save / "metrics.jsonl").read_text().splitlines()]


def curve(save: Path, *names: str) -> list[float]:
    return [row[name] for row in rows(save) for name in names or FIGURES]


def end(ranks: list[Started]) -> list[int]:
    return [rank.wait() for rank in ranks]


def wait_for_rows(save: Path, count: int, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    metrics = save / "metrics.jsonl"
    while not metrics.exists() or metrics.read_text().count("\n") < count:
        assert time.monotonic() < deadline, f"no epoch ended within {seconds} seconds"
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_curve_of_one_process(
    command: list[object], alone: Callable[..., Path], tmp_path: Path, accumulate: int
) -> None:
    """21 steps with ragged ends, fp32, with the penalty; one process writes and prints."""
    flags = ["--sync-bn", "--accumulate", accumulate, "--save", tmp_path / "two"]
    ranks = start_ranks([*command, *flags], tmp_path / "rank")
    one = alone(accumulate=accumulate)
    assert end(ranks) == [0, 0], ranks[0].err + ranks[1].err
    assert curve(tmp_path / "two") == pytest.approx(curve(one), abs=1e-5)
    first, second = (read_checkpoint(save / CHECKPOINT).state_dict for save in (one, tmp_path / "two"))
    assert first.keys() == second.keys()
    assert all(torch.allclose(first[key], second[key], atol=1e-4) for key in first)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == sorted(path.name for path in one.iterdir())
    assert "; 2 processes, BatchNorm over all" in ranks[0].out
    assert ranks[1].out == ranks[1].err == ""
    said = ranks[0].err.splitlines()
    assert [line.partition(" are too few")[0] for line in said] == ["netslim: note: 21 batches"] * (accumulate == 1)


def test_without_sync_bn_each_process_has_its_own_statistics(
    command: list[object], alone: Callable[..., Path], tmp_path: Path
) -> None:
    """So two processes train like one that works every batch off in two parts; the first one's statistics are kept."""
    ranks = start_ranks([*command, "--save", tmp_path / "two"], tmp_path / "rank")
    one = alone(accumulate=2)
    assert end(ranks) == [0, 0], ranks[0].err + ranks[1].err
    assert curve(tmp_path / "two", "loss") == pytest.approx(curve(one, "loss"), abs=1e-5)
    assert curve(tmp_path / "two", "eval_loss") != pytest.approx(curve(one, "eval_loss"), abs=1e-3)


def test_a_signal_to_one_process_stops_both_and_one_alone_goes_on(
    command: list[object], alone: Callable[..., Path], run_train: Train, tmp_path: Path
) -> None:
    save = tmp_path / "two"
    ranks = start_ranks([*command, "--sync-bn", "--save", save], tmp_path / "rank")
    wait_for_rows(save, 2)
    os.kill(ranks[1].pid, signal.SIGTERM)
    assert end(ranks) == [143, 143]
    assert (ranks[0].err + ranks[1].err).count("\n") == 1
    assert (ranks[0].err + ranks[1].err).startswith("netslim: error: stopped in epoch ")
    one = alone()
    run_train(save=save, epochs=EPOCHS, lr=0.01, sparsity_regularization=True, s=0.001, sync_bn=True)
    assert curve(save) == pytest.approx(curve(one), abs=1e-5)


def test_a_killed_process_ends_all_with_one_message(command: list[object], tmp_path: Path) -> None:
    save = tmp_path / "two"
    ranks = start_ranks([*command, "--epochs", 1000, "--save", save], tmp_path / "rank")
    wait_for_rows(save, 1)
    os.kill(ranks[1].pid, signal.SIGKILL)
    start = time.monotonic()
    assert end(ranks) == [1, -signal.SIGKILL]
    assert time.monotonic() - start < 30
    assert ranks[0].err == (
        f"netslim: error: process 1 of this run has ended or can't be reached; type the same command again to "
        f"go on from the last state in {save}, or let torchrun --max-restarts 3 do it\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [0, 1])
def test_a_frozen_process_ends_the_others_with_its_number(command: list[object], tmp_path: Path, frozen: int) -> None:
    save = tmp_path / "two"
    ranks = start_ranks([*command, "--epochs", 100_000, "--patience", 5, "--save", save], tmp_path / "rank")
    wait_for_rows(save, 1)
    os.kill(ranks[frozen].pid, signal.SIGSTOP)
    try:
        assert ranks[1 - frozen].wait() == 1
    finally:
        os.kill(ranks[frozen].pid, signal.SIGKILL)
    end(ranks)
    said = ranks[1 - frozen].err
    assert said.startswith(f"netslim: error: process {frozen} of this run has "), said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_one_that_never_begins_is_named(command: list[object], tmp_path: Path) -> None:
    """The second process is killed before it can join; here it is not even started."""
    first = start_ranks([*command, "--patience", 5, "--save", tmp_path / "run"], tmp_path / "rank", started=1)[0]
    assert first.wait() == 1
    assert first.err.startswith("netslim: error: process 1 of this run has not begun to work within 25 seconds; type")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("batch", "flags"), [(22, []), (11, ["--accumulate", 2]), (22, ["--sync-bn"])])
def test_a_last_batch_of_one_image(command: list[object], tmp_path: Path, batch: int, flags: list[object]) -> None:
    """Of 23 images one is left over, for two processes; it goes with the batch before."""
    line = [*command, "--epochs", 1, "--batch-size", batch, *flags, "--save", tmp_path / "two"]
    ranks = start_ranks(line, tmp_path / "rank")
    assert end(ranks) == [0, 0], ranks[0].err + ranks[1].err
    assert len(rows(tmp_path / "two")) == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_torchrun_restarts_a_killed_process_from_the_last_state(
    command: list[object], alone: Callable[..., Path], tmp_path: Path
) -> None:
    save = tmp_path / "two"
    options = ["--nproc-per-node", "2", "--max-restarts", "1", "--monitor-interval", "0.05"]
    started = torchrun([*command, "--sync-bn", "--save", save], tmp_path / "log", *options)
    wait_for_rows(save, 2, seconds=200)  # its processes import torch
    tasks = Path(f"/proc/{started.pid}/task").glob("*/children")
    os.kill(max(int(child) for task in tasks for child in task.read_text().split()), signal.SIGKILL)
    one = alone()
    started.process.join(300)
    assert started.wait() == 0, started.err
    assert started.err.count("netslim: error") == 1
    assert f"going on with {save / CHECKPOINT}: epoch " in started.out
    assert curve(save) == pytest.approx(curve(one), abs=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--batch-size", 3, "--accumulate", 2],
            "--batch-size 3 has no image for each of 2 processes in each of 2 parts: type --batch-size 4 or more",
        ),
        (["--epochs", 0], "--epochs 0: input should be greater than or equal to 1"),
        (["--data-dir", "nowhere"], None),
    ],
)
def test_a_mistake_is_said_once(
    command: list[object], tmp_path: Path, flags: list[object], message: str | None
) -> None:
    ranks = start_ranks([*command, *flags, "--save", tmp_path / "run"], tmp_path / "rank")
    assert all(end(ranks))
    said = ranks[0].err + ranks[1].err
    assert said.count("\n") == 1, said
    assert said == f"netslim: error: {message}\n" if message else said.startswith("netslim: error: ")
    assert not (tmp_path / "run").exists()


def test_other_verbs_are_one_process(trained: Path, tmp_path: Path) -> None:
    ranks = start_ranks(["evaluate", trained / BEST], tmp_path / "rank")
    assert end(ranks) == [2, 2]
    assert ranks[0].err + ranks[1].err == (
        "netslim: error: netslim evaluate is one process: type it without torchrun (netslim train can be several)\n"
    )
