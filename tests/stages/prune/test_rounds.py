"""Pruning in several steps, on a network that was trained for a second."""

import importlib.util
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st

from netslim.core.checkpoint import read_checkpoint, write_checkpoint
from netslim.core.errors import InterruptedRunError, UsageError
from netslim.core.protocols import Budget, Cost, PrunePlan
from netslim.models import create_model
from netslim.network import load, save
from netslim.own_loop.rounds import final_channels
from netslim.pruning import plan_from_dict
from netslim.pruning.budget.request import requested
from netslim.report.progress import TrainingProgress
from netslim.stages.prune import rounds
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig
from netslim.stages.prune.rounds import Course
from netslim.stages.train.config import TrainConfig

LAST, PRUNED = "checkpoint.pth.tar", "pruned.pth.tar"


def run(model: Path, target: Path, **given: Any) -> dict[str, Any]:
    return prune.run(PruneConfig(model=model, save=target, device="cpu", **{"precision": "fp32", **given}))


def plan_with(reached: float, dense: float) -> PrunePlan:
    budget = Budget(kind="percent", asked="", target=reached, reached=reached, dense=dense)
    cost = Cost(params=1, macs=1)
    return PrunePlan(
        arch=None, groups=(), percent=0, criterion="", min_channels=1, clamped=(), before=cost, after=cost,
        input_shape=(1, 3, 8, 8), budget=budget,
    )  # fmt: skip


def kept_after(total: int, percent: float, steps: int) -> list[float]:
    """Channels left after each round, where each round's pruning does what it is told."""
    course = Course(request=requested(percent, {}), steps=steps, start=1.0, goal=percent, per_layer=False)
    plans: list[PrunePlan] = []
    for number in range(1, steps + 1):
        now = plans[-1].budget.reached if plans and plans[-1].budget else total
        plans.append(plan_with(final_channels(now, course.budget(number, plans)["percent"]), total))
    return [plan.budget.reached for plan in plans if plan.budget]


def test_each_round_keeps_the_same_share_of_what_is_left() -> None:
    assert kept_after(1000, 0.7, 3) == [669, 447, 299]  # 0.669 of 1000, 0.668 of 669, 0.669 of 447


@settings(deadline=None, max_examples=300)
@each(total=st.integers(20, 20_000), percent=st.floats(0.05, 0.9), steps=st.integers(2, 6))
def test_after_the_last_round_as_many_channels_are_gone_as_after_a_single_pruning(
    total: int, percent: float, steps: int
) -> None:
    kept = kept_after(total, percent, steps)
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] == final_channels(total, percent)


def test_targets_shrink_by_the_same_factor() -> None:
    request = requested(None, {"macs": "0.125"})
    course = Course(request=request, steps=3, start=1.0, goal=0.125, per_layer=False)
    assert [course.budget(number, ())["target_macs"] for number in (1, 2)] == pytest.approx([0.5, 0.25])
    assert course.budget(3, ()) == {"target_macs": "0.125"}


@pytest.mark.parametrize(("asked", "shown"), [("0.5", 0.7071), ("0.99999", 0.9999), ("0.00005", 0.007071)])
def test_shares_of_rounds_are_short(asked: str, shown: float) -> None:
    course = Course(request=requested(None, {"macs": asked}), steps=2, start=1.0, goal=float(asked), per_layer=False)
    assert course.budget(1, ()) == {"target_macs": shown}


def test_two_rounds_remove_as_much_as_one(trained: Path, folder: Path, tmp_path: Path) -> None:
    once = run(trained / LAST, tmp_path / "once", data_dir=folder, percent=0.6, precision="auto")
    result = run(trained / LAST, tmp_path / "run", data_dir=folder, percent=0.6, steps=2, batch_size=8)
    assert result["kept"] == once["kept"]
    assert result["percent"] == 0.6
    assert result["budget"]["dense"] == result["channels"]
    assert sorted(p.name for p in (tmp_path / "run").iterdir() if p.name[0] != ".") == [
        "plan.json", "prune.txt", PRUNED, "report.html", "round1", "run.json",
    ]  # fmt: skip
    first = plan_from_dict(json.loads((tmp_path / "run/round1/pruned/plan.json").read_text()))
    last = plan_from_dict(json.loads((tmp_path / "run/plan.json").read_text()))
    assert last.total == first.total == once["channels"]
    assert last.before == first.before
    for earlier, later in zip(first.groups, last.groups, strict=True):
        assert set(later.keep) <= set(earlier.keep)
    small = load(tmp_path / "run" / PRUNED)
    assert small.plan == last
    assert sum(p.numel() for p in small.parameters()) == result["params"]


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_targets_in_rounds(trained: Path, folder: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"target_macs": "0.5", "steps": 2, "batch_size": 8, "track": "tensorboard"}
    result = run(trained / LAST, tmp_path / "run", data_dir=folder, **given)
    assert any((tmp_path / "run" / "round1" / "trained" / "tensorboard").iterdir())
    middle = json.loads((tmp_path / "run/round1/pruned/run.json").read_text())["result"]
    assert middle["macs"] / middle["macs_before"] == pytest.approx(0.5**0.5, rel=0.011)
    assert result["macs"] / result["macs_before"] == pytest.approx(0.5, rel=0.011)
    assert "reconstructed" in result  # nothing is trained after it
    assert "reconstructed" not in middle


def test_interrupted_in_the_training_the_same_command_goes_on_to_the_same_bits(
    trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"data_dir": folder, "percent": 0.5, "steps": 2, "batch_size": 8}
    run(trained / LAST, tmp_path / "straight", **given)
    shown, seen = TrainingProgress.batch, []

    def cut_off_at_the_second_batch(progress: TrainingProgress, *numbers: Any) -> None:
        seen.append(numbers)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        shown(progress, *numbers)

    monkeypatch.setattr(TrainingProgress, "batch", cut_off_at_the_second_batch)
    with pytest.raises(InterruptedRunError, match="type the same command again to go on"):
        run(trained / LAST, tmp_path / "run", **given)
    assert not (tmp_path / "run" / PRUNED).exists()
    for folder_of_a_page in (tmp_path / "run", tmp_path / "run" / "round1" / "trained"):
        assert "Half-finished" in (folder_of_a_page / "report.html").read_text()
    with pytest.raises(UsageError, match=r"holds another run \(percent: 0\.5 there, 0\.6 now\)"):
        run(trained / LAST, tmp_path / "run", **{**given, "percent": 0.6})
    run(trained / LAST, tmp_path / "run", **given)
    out = capsys.readouterr().out
    assert "nothing to do" in out  # the first round's pruning
    assert "going on with " in out
    one, other = (read_checkpoint(tmp_path / name / PRUNED) for name in ("straight", "run"))
    assert all(torch.equal(value, other.state_dict[key]) for key, value in one.state_dict.items())
    assert one.plan == other.plan


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 3}, "`epochs=3`: one step has no training; type `steps=3` with it, or train `refine` after it"),
        ({"track": "tensorboard"}, "`track='tensorboard'`: one step has no training; type `steps=3` with it"),
        ({"steps": 2, "track": "no"}, "unknown tracker 'no'"),
        ({"steps": 2, "schedule": "steps"}, "unknown schedule"),
        ({"optimizer": "adamw"}, "`optimizer='adamw'`: one step has no training; type `steps=3` with it"),
        ({"steps": 2, "target_latency": "3ms"}, "`target_latency='3ms'` with `steps=2`: type a share of the latency"),
    ],
)
def test_flags_that_contradict_each_other(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        run(tmp_path / "missing.pth.tar", tmp_path / "run", **{"precision": "auto", **given})
    assert not (tmp_path / "run").exists()


def test_rounds_need_a_data_set(tmp_path: Path) -> None:
    save(tmp_path / "net.pth.tar", create_model("resnet", depth=11, num_classes=2, in_channels=1))
    with pytest.raises(UsageError, match=r"^`steps=2` trains, and .* names no data set: type `dataset=NAME`$"):
        run(tmp_path / "net.pth.tar", tmp_path / "run", steps=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "trained_by"),
    [
        ({}, {"optimizer": "adamw", "lr": 0.001}),
        ({"optimizer": "sgd", "lr": 0.02}, {"optimizer": "sgd", "lr": 0.02}),
    ],
)
def test_what_trained_the_file_trains_between_rounds(
    trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any], trained_by: dict[str, Any],
) -> None:  # fmt: skip
    model = tmp_path / "net.pth.tar"
    checkpoint = read_checkpoint(trained / "model_best.pth.tar")
    checkpoint.training["optimizer"] = "adamw"
    write_checkpoint(model, checkpoint)
    seen: list[TrainConfig] = []

    def train(config: TrainConfig) -> Path:
        seen.append(config)
        return model

    monkeypatch.setattr(rounds, "_train", train)
    run(model, tmp_path / "run", data_dir=folder, steps=2, percent=0.4, reconstruct=0, recalibrate=0, **given)
    assert {"optimizer": seen[0].optimizer, "lr": seen[0].lr} == trained_by


def test_optimizers_that_only_the_file_names(trained: Path, folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "net.pth.tar"
    checkpoint = read_checkpoint(trained / "model_best.pth.tar")
    wrong = {"opt.py:make": r"type `optimizer='opt.py:make'`$", "lion": "unknown optimizer 'lion'"}
    for name, message in wrong.items():
        checkpoint.training["optimizer"] = name
        write_checkpoint(model, checkpoint)
        with pytest.raises(UsageError, match=message):
            run(model, tmp_path / "run", data_dir=folder, steps=2)
        assert not (tmp_path / "run").exists()
