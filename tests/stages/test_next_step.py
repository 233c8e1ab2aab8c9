"""The guide's order of steps, with the guide's numbers, on files that hold next to nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.checkpoint import Checkpoint, write_checkpoint
from netslim.core.config import StageConfig
from netslim.core.protocols import ArchSpec
from netslim.core.schemas import TaskFacts
from netslim.stages.next_step import NextStep, next_step
from netslim.stages.prune.config import PruneConfig
from netslim.stages.train.config import TrainConfig
from netslim.stages.transfer.config import TransferConfig

ARCH = ArchSpec(name="resnet", arguments={"depth": 164, "num_classes": 10})


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    checkpoint = Checkpoint(state_dict={"w": torch.zeros(1)}, arch=ARCH, dataset={"name": "cifar100"})
    write_checkpoint(tmp_path / "net.pth.tar", checkpoint)
    return tmp_path / "net.pth.tar"


def step_after(verb: str, config: StageConfig, file: Path) -> NextStep:
    found = next_step(verb, config, {"file": str(file)})
    assert found is not None
    return found


def test_the_guides_steps_in_the_guides_order(file: Path) -> None:
    save = file.parent
    sparse = TrainConfig(dataset="cifar100", sparsity_regularization=True, save=save)
    steps: list[tuple[str, StageConfig, str, Mapping[str, Any]]] = [
        ("transfer", TransferConfig(output=file), "train", {"resume": file, "save": "./fine_tuned_model"}),
        (
            "train",
            TrainConfig(dataset="cifar100", save=save),
            "train",
            {
                "sparsity_regularization": True,
                "s": 0.00001,
                "epochs": 40,
                "lr": 0.001,
                "resume": file,
                "save": "./sparsity_trained_model",
            },
        ),
        ("train", sparse, "prune", {"model": file, "percent": 0.4, "save": "./pruned_model"}),
        ("prune", PruneConfig(model=file, save=save), "train", {"refine": file, "save": "./final_model"}),
    ]
    for verb, config, following, settings in steps:
        found = step_after(verb, config, file)
        assert found.verb == following
        assert found.settings == {**settings, "dataset": "cifar100"}
        assert list(found.settings)[-1] == "save"
        assert found.network == {"arch": "resnet", "depth": 164}


def test_what_was_set_by_hand_is_kept_and_a_folder_in_use_is_not_named(file: Path) -> None:
    (file.parent / "sparsity_trained_model").mkdir()
    config = TrainConfig(dataset="cifar10", batch_size=32, device="cpu", momentum=0.5, save=file.parent)
    settings = step_after("train", config, file).settings
    assert (settings["dataset"], settings["batch_size"], settings["device"]) == ("cifar10", 32, "cpu")
    assert "momentum" not in settings
    assert settings["save"] == "./sparsity_trained_model_2"


def test_nothing_follows_the_small_network_or_a_step_without_a_file(file: Path) -> None:
    refined = TrainConfig(refine=file, save=file.parent)
    assert next_step("train", refined, {"file": str(file)}) is None
    assert next_step("train", TrainConfig(save=file.parent), {}) is None
    assert next_step("train", TrainConfig(save=file.parent / "moved"), {"file": str(file)}) is None


def test_code_of_the_users_own_and_an_unusual_training_are_said_again(file: Path) -> None:
    checkpoint = Checkpoint(
        state_dict={"w": torch.zeros(1)},
        arch=ArchSpec(name="nets.py:small", arguments={"depth": 3}),
        dataset={"name": "data.py:load"},
        task=TaskFacts(loss="mse", metric="m.py:f", metric_mode="min"),
        training={"optimizer": "adamw"},
    )
    write_checkpoint(file, checkpoint)
    task = {"arch": "nets.py:small", "loss": "mse", "metric": "m.py:f", "metric_mode": "min", "dataset": "data.py:load"}
    sparse = TrainConfig(arch="../nets.py:small", workers=2, sparsity_regularization=True, save=file.parent)
    prune = step_after("train", sparse, file)
    given = {"model": file, "percent": 0.4, "save": "./pruned_model", "workers": 2}
    assert prune.settings == {**task, **given, "arch": "../nets.py:small", "dataset": "digits"}
    train = step_after("prune", PruneConfig(model=file, save=file.parent), file)
    rate = {"optimizer": "adamw", "lr": 0.001}
    assert train.settings == {**task, **rate, "refine": file, "save": "./final_model"}
    assert train.network == {}
