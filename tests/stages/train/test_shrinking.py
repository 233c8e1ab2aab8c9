"""A training whose network gets smaller on the way."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from own_code import Run

import netslim
from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import InterruptedRunError, UsageError
from netslim.core.processes.distributed import World
from netslim.network import restore
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig
from netslim.stages.train import run as train
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.shrinking import Shrinking, check_alone
from netslim.training.optimizers.state import restored_
from netslim.training.signals import Interrupt

Train = Callable[..., dict[str, Any]]
CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"
SHRINKS = {"sparsity_regularization": True, "penalty": "proximal", "s": 0.1, "prune_zeros": True, "epochs": 3}
OPTIONS: dict[str, dict[str, Any]] = {"SGD": {"momentum": 0.9}, "AdamW": {}}


def metrics(save: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (save / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second", "waiting")} for row in rows]


def same(one: Path, other: Path) -> bool:
    """Whether two checkpoints have the same network, optimizer's state and count, to the bit."""
    first, second = read_checkpoint(one), read_checkpoint(other)
    mine, its = (found.optimizer["state"] for found in (first, second))
    return (
        first.plan == second.plan
        and first.epoch == second.epoch
        and first.state_dict.keys() == second.state_dict.keys()
        and all(torch.equal(value, second.state_dict[key]) for key, value in first.state_dict.items())
        and mine.keys() == its.keys()
        and all(torch.equal(value, its[key][name]) for key, own in mine.items() for name, value in own.items())
    )


def stop_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when so many batches, evaluations' included, were taken."""
    left = [batches]

    def signal(_: Interrupt) -> int | None:
        left[0] -= 1
        return None if left[0] else 2

    monkeypatch.setattr(Interrupt, "signal", property(signal, lambda *_: None), raising=False)


def remembering() -> Any:
    """Files of a run that is new."""
    return SimpleNamespace(remember=lambda _, choose, default: choose() if default else None)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network some of whose scales are near zero, others not, and shifts of both signs."""
    torch.manual_seed(0)
    model = netslim.create_model("resnet", depth=11, num_classes=2, in_channels=1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0, 1)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    file = tmp_path_factory.mktemp("uneven") / "net.pth.tar"
    netslim.save(file, model)
    return file


@pytest.fixture(scope="module")
def whole(folder: Path, uneven: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose network got smaller; not to be written to."""
    save = tmp_path_factory.mktemp("whole") / "run"
    plain = {"dataset": "folder", "data_dir": folder, "depth": 11, "batch_size": 8, "lr": 0.05, "device": "cpu"}
    train.run(TrainConfig(**{**plain, "precision": "fp32", "save": save, "resume": uneven, **SHRINKS}))
    return save


def test_the_rows_say_how_the_network_shrinks(whole: Path) -> None:
    rows = metrics(whole)
    kept, macs = ([row[name] for row in rows] for name in ("channels", "macs"))
    assert 688 > kept[0] > kept[1] >= kept[2]
    assert macs == sorted(macs, reverse=True)
    assert [sum(row["scale_histogram"]) for row in rows] == [688] * 3  # what is gone counts as zero
    assert rows[0]["zero_scales"] < rows[1]["zero_scales"]
    small = netslim.load(whole / CHECKPOINT)
    assert small.plan is not None
    assert (small.plan.kept, small.plan.after.macs) == (kept[-1], macs[-1])
    assert netslim.measure(small, torch.zeros(1, 1, 8, 8)).macs == macs[-1]


@pytest.mark.parametrize(
    "batches",
    [
        2,  # before the first cut
        6,  # in the second epoch, after it
        pytest.param(4, marks=pytest.mark.slow),  # in the evaluation before it
        pytest.param(8, marks=pytest.mark.slow),
        pytest.param(9, marks=pytest.mark.slow),
    ],
)
def test_cut_off_anywhere_it_ends_with_the_same_bits(
    run_train: Train, uneven: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    given = {**SHRINKS, "resume": uneven, "save": tmp_path / "cut"}
    with monkeypatch.context() as patch:
        stop_after(batches, patch)
        with pytest.raises(InterruptedRunError):
            run_train(**given)
    assert read_checkpoint(tmp_path / "cut" / CHECKPOINT).epoch == batches // 4 - (batches % 4 == 0)
    run_train(**given)
    for name in (CHECKPOINT, BEST):
        assert same(tmp_path / "cut" / name, whole / name)
    assert metrics(tmp_path / "cut") == metrics(whole)


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_what_is_left_computes_the_same_and_goes_on_with_the_state_of_its_weights(uneven: Path, optimizer: str) -> None:
    model, images = netslim.load(uneven).train(), torch.randn(4, 1, 8, 8)
    learner = getattr(torch.optim, optimizer)(model.parameters(), lr=0.01, **OPTIONS[optimizer])
    model(images).square().mean().backward()
    learner.step()
    scale = model.get_submodule("layer1.0.bn2").weight
    scale.data[::2] = 0
    model.get_submodule("layer1.0.bn2").bias.data[::2] = -1
    shrinking = Shrinking(model, images, remembering())
    left = shrinking.cut(model, learner)
    assert left is not None
    small = restore(left, Path("x"))
    assert (shrinking.gone(model), shrinking.gone(small)) == (0, 8)
    torch.testing.assert_close(small.eval()(images), model.eval()(images), rtol=1e-5, atol=1e-5)
    assert shrinking.columns == {"channels": 688 - 8, "macs": netslim.measure(small, images).macs}
    again = getattr(torch.optim, optimizer)(small.parameters(), lr=0.01, **OPTIONS[optimizer])
    restored_(again, small, left.optimizer)
    kept = small.get_submodule("layer1.0.bn2").weight
    assert kept.numel() == 8
    for name, value in learner.state[scale].items():
        assert torch.equal(again.state[kept][name], value[1::2] if value.dim() else value)


def test_a_network_of_the_users_own_shrinks_and_is_opened_again(run_own: Run, tmp_path: Path) -> None:
    own = ("--arch", "mine.py:net", "--dataset", "mine.py:data", "--batch-size", 8, "--precision", "fp32")
    sparse = ("-sr", "--penalty", "proximal", "--s", 0.3, "--prune-zeros", "--epochs", 3, "--lr", 0.1)
    ended = run_own("train", *own, *sparse, "--save", "run")
    assert ended.code == 0, ended.err
    rows = metrics(tmp_path / "run")
    assert rows[-1]["channels"] == 2
    assert "  2 channels, " in ended.out
    ended = run_own("evaluate", "run/checkpoint.pth.tar", *own[:4])
    assert ended.code == 0, ended.err


def test_where_nothing_is_zero_nothing_is_cut(uneven: Path) -> None:
    model = netslim.load(uneven)
    shrinking = Shrinking(model, torch.zeros(1, 1, 8, 8), remembering())
    assert shrinking.cut(model, torch.optim.SGD(model.parameters(), lr=0.1)) is None
    assert shrinking.columns["channels"] == 688


@pytest.mark.parametrize(
    ("given", "kind", "target"),
    [({"target_macs": 0.5}, "macs", 0.5 * 1_254_912), ({"percent": 0.5}, "percent", 688 - 345)],
)
def test_budgets_of_a_pruning_after_it_are_of_the_whole_network(
    folder: Path, whole: Path, tmp_path: Path, given: dict[str, Any], kind: str, target: float
) -> None:
    result = prune.run(
        PruneConfig(model=whole / CHECKPOINT, data_dir=folder, device="cpu", save=tmp_path / "run", **given)
    )
    assert (result["channels"], result["macs_before"]) == (688, 1_254_912)
    assert (result["budget"]["kind"], result["budget"]["target"]) == (kind, target)
    assert result["budget"]["reached"] == pytest.approx(target, rel=0.01)


def test_rounds_by_a_share_of_channels_are_refused_after_it(folder: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        prune.run(PruneConfig(model=whole / BEST, data_dir=folder, device="cpu", save=tmp_path, percent=0.5, steps=2))
    assert str(error.value) == (
        f"{whole / BEST} got smaller in its training, and `percent=0.5` in `steps=2` would be of what is left: type "
        f"`target_macs`, which is of the whole"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"penalty": "polarization"},
            "`prune_zeros=True`: of all penalties proximal alone makes exact zeros, and is the same for the other "
            "scales without them: type `sparsity_regularization=True` and `penalty='proximal'` with it",
        ),
        (
            {"penalty_weights": "macs"},
            "`prune_zeros=True`: weights are by what a channel frees of the whole network: leave them equal "
            "(`penalty_weights='equal'`)",
        ),
        ({"capture": "compile"}, "`prune_zeros=True`: a compiled network can't get smaller: type `capture='auto'`"),
    ],
)
def test_what_it_does_not_go_with(run_train: Train, tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        run_train(save=tmp_path / "run", **{**SHRINKS, **given})
    assert str(error.value) == message
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused() -> None:
    check_alone(TrainConfig(prune_zeros=True), World(0, 1))
    with pytest.raises(UsageError, match=r"^`prune_zeros=True`: 2 processes train together, and one alone can cut"):
        check_alone(TrainConfig(prune_zeros=True), World(0, 2))
