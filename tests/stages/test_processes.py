"""Real processes: killed, interrupted, out of disk, in each other's way."""

import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.checkpoint import read_checkpoint
from netslim.network import load

CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"
EPOCHS = 10
Start = Callable[..., Any]
Train = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def command(folder: Path) -> list[object]:
    plain = ["train", "--dataset", "folder", "--data-dir", folder, "--depth", 11, "--batch-size", 8, "--lr", 0.05]
    return [*plain, "--device", "cpu", "--precision", "fp32", "--epochs", EPOCHS, "-sr"]


@pytest.fixture(scope="module")
def straight(run_train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training without a cut; not to be written to."""
    save = tmp_path_factory.mktemp("straight") / "run"
    run_train(save=save, epochs=EPOCHS, sparsity_regularization=True)
    return save


def rows(save: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (save / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second", "waiting")} for row in found]


def assert_same_end(one: Path, other: Path) -> None:
    assert rows(one) == rows(other)
    for name in (CHECKPOINT, BEST):
        first, second = read_checkpoint(one / name), read_checkpoint(other / name)
        assert first.state_dict.keys() == second.state_dict.keys()
        for key, value in first.state_dict.items():
            assert torch.equal(value, second.state_dict[key]), f"{name}: {key}"
        assert (first.epoch, first.best_prec1) == (second.epoch, second.best_prec1)
        assert first.optimizer is not None
        assert second.optimizer is not None
        assert first.optimizer["param_groups"] == second.optimizer["param_groups"]


def wait_for_rows(save: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    metrics = save / "metrics.jsonl"
    while not metrics.exists() or metrics.read_text().count("\n") < count:
        assert time.monotonic() < deadline, "no epoch ended within a minute"
        time.sleep(0.005)


def cut_off(start: Start, command: list[object], save: Path, number: int = signal.SIGTERM) -> Any:
    """Runs the command into `save` and ends it with a signal after two epochs."""
    for _ in range(5):  # on a busy machine a training may end before it is seen to have begun
        process = start(*command, "--save", save)
        wait_for_rows(save, 2)
        os.kill(process.pid, number)
        if process.wait():
            break
        shutil.rmtree(save)
    assert process.wait() == 128 + number
    return process


def test_killed_at_random_moments_it_ends_with_the_same_bits(
    start: Start, command: list[object], straight: Path, tmp_path: Path
) -> None:
    save, moments = tmp_path / "run", random.Random(7)  # noqa: S311
    for kill in range(5):
        process = start(*command, "--save", save)
        wait_for_rows(save, kill) if save.exists() else None
        time.sleep(moments.uniform(0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() in (-signal.SIGKILL, 0)
    last = start(*command, "--save", save)
    assert last.wait() == 0, last.err
    assert_same_end(save, straight)
    assert not [path for path in save.iterdir() if ".tmp-" in path.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_state_and_the_same_command_goes_on(
    start: Start, command: list[object], straight: Path, tmp_path: Path, number: int
) -> None:
    save = tmp_path / "run"
    process = cut_off(start, command, save, number)
    assert process.err.startswith("netslim: error: stopped in epoch ")
    assert process.err.endswith(f"; the state is in {save / CHECKPOINT}: type the same command again to go on\n")
    assert process.err.count("\n") == 1
    assert json.loads((save / "run.json").read_text())["status"] == "running"
    again = start(*command, "--save", save)
    assert again.wait() == 0, again.err
    assert f"going on with {save / CHECKPOINT}: epoch " in again.out
    assert_same_end(save, straight)


def test_resume_from_the_own_folder_goes_on(
    start: Start, command: list[object], straight: Path, tmp_path: Path
) -> None:
    save = tmp_path / "run"
    cut_off(start, command, save)
    again = start(*command, "--save", save, "--resume", save / CHECKPOINT)
    assert again.wait() == 0, again.err
    assert_same_end(save, straight)


def test_a_full_disk_is_one_line_and_the_previous_checkpoint_stays(
    start: Start, command: list[object], straight: Path, tmp_path: Path
) -> None:
    save = tmp_path / "run"
    cut_off(start, command, save)
    before = (save / CHECKPOINT).read_bytes()
    full = start(*command, "--save", save, largest_file=100_000)
    assert full.wait() == 1
    assert full.err.startswith("netslim: error: cannot write ")
    assert re.search(r"/(\w+\.pth\.tar): File too large; \1 is as it was\n$", full.err)
    assert full.err.count("\n") == 1
    assert (save / CHECKPOINT).read_bytes() == before
    load(save / CHECKPOINT)
    again = start(*command, "--save", save)
    assert again.wait() == 0, again.err
    assert_same_end(save, straight)


def test_two_processes_in_one_folder(start: Start, command: list[object], tmp_path: Path) -> None:
    save = tmp_path / "run"
    first = start(*command, "--save", save)
    wait_for_rows(save, 1)
    second = start(*command, "--save", save)
    assert second.wait() == 2
    assert second.err == (f"netslim: error: {save} is in use by another process; wait for it or give another --save\n")
    assert first.wait() == 0, first.err


def test_the_guides_five_steps(start: Start, folder: Path, tmp_path: Path) -> None:
    """Its scripts, flags and file names, one after the other in one directory, at the smallest size.

    Only its first step is not for these images: it names CIFAR-10, whose images are not in this folder.
    """
    source = ["--source", "torchvision", "--model-name", "resnet50", "--no-pretrained", "--depth", "11"]
    shape = ["--dataset", "folder", "--num-classes", "2", "--in-channels", "1"]
    data = ["--data-dir", folder, "--dataset", "folder", "--depth", 11, "--no-cuda"]
    training = [*data, *["--arch", "resnet", "--batch-size", "8", "--epochs", "2"]]
    sparse = ["-sr", "--s", "0.00001", "--resume", "./fine_tuned_model/model_best.pth.tar", "--lr", "0.001"]
    steps: list[list[object]] = [
        ["transfer_weights.py", *source, "--dataset", "cifar10", "--output", "for_cifar10.pth.tar"],
        ["transfer", *source, *shape, "--output", "transferred_model.pth.tar"],
        ["main.py", *training, "--resume", "transferred_model.pth.tar", "--lr", "0.1", "--save", "./fine_tuned_model"],
        ["main.py", *sparse, *training, "--save", "./sparsity_model"],
        [
            "resprune.py",
            *data,
            *["--percent", "0.4", "--model", "./sparsity_model/model_best.pth.tar", "--save", "./pruned"],
        ],
        ["main.py", "--refine", "./pruned/pruned.pth.tar", *training, "--save", "./final_model"],
    ]
    for step in steps:
        process = start(*step, cwd=tmp_path)
        assert process.wait() == 0, f"{step}: {process.err}"
        assert not [line for line in process.err.splitlines() if not line.startswith("netslim: note: ")]
    assert load(tmp_path / "for_cifar10.pth.tar").arch.arguments["num_classes"] == 10
    small, final = load(tmp_path / "pruned/pruned.pth.tar"), load(tmp_path / "final_model/model_best.pth.tar")
    assert small.plan is not None
    removed, counted = small.plan.total - small.plan.kept, int(0.4 * small.plan.total) + 1  # as the original counts
    assert removed == counted or (removed < counted and small.plan.clamped)
    assert final.cfg == small.cfg
    again = start(*steps[-1], cwd=tmp_path)
    assert again.wait() == 0
    assert again.out.endswith("; nothing to do\n")
