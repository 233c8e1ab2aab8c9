"""Penalty and teacher of a phase, from its settings."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import netslim
from netslim.core.checkpoint import read_checkpoint, write_checkpoint
from netslim.core.errors import CheckpointError, UsageError
from netslim.data import ImageDataset, Split
from netslim.data.dataset import Augmentation
from netslim.models import create_model
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.step_setup import check_step, open_teacher

Train = Callable[..., dict[str, Any]]


CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"


SPARSE = {"sparsity_regularization": True, "epochs": 1}


def rows(save: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (save / "metrics.jsonl").read_text().splitlines()]


# Penalties


def test_a_phase_with_everything(run_train: Train, trained: Path, tmp_path: Path) -> None:
    given = {"penalty": "proximal", "penalty_warmup": 1, "penalty_schedule": "linear", "penalty_weights": "macs"}
    start = {"resume": trained / BEST, "teacher": trained / BEST, "s": 0.05, "temperature": 2.0}
    run_train(save=tmp_path / "run", **{**SPARSE, "epochs": 3}, **given, **start)
    found = rows(tmp_path / "run")
    assert [row["penalty_strength"] for row in found] == pytest.approx([0.05 * 2 / 3, 0.05 * 2 / 3, 0.05 / 6])
    assert found[-1]["zero_scales"] > 0
    checkpoint = read_checkpoint(tmp_path / "run" / BEST)
    assert checkpoint.provenance["config"]["teacher_weight"] == 0.5
    assert checkpoint.provenance["config"]["temperature"] == 2.0
    assert checkpoint.provenance["parents"]["teacher"]["path"] == str(trained / BEST)
    assert len(checkpoint.provenance["parents"]["teacher"]["sha256"]) == 64


def test_the_files_of_a_run_without_decay_on_scales_open_in_the_original_scripts(
    run_train: Train, tmp_path: Path
) -> None:
    run_train(save=tmp_path / "run", scale_decay=False, epochs=1)
    data = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    weights = [torch.nn.Parameter(v) for k, v in data["state_dict"].items() if not k.endswith(statistics)]
    optimizer = torch.optim.SGD(weights, lr=9.0, momentum=0.9)
    optimizer.load_state_dict(data["optimizer"])
    assert optimizer.param_groups[0]["weight_decay"] == 1e-4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"penalty": "l0"}, "unknown penalty 'l0'; did you mean l1? (known: l1, polarization, proximal)"),
        (
            {"penalty": "proximal"},
            "`penalty='proximal'`: there is no penalty: type `sparsity_regularization=True` with it",
        ),
        (
            {"penalty_warmup": 1},
            "`penalty_warmup=1.0`: there is no penalty: type `sparsity_regularization=True` with it",
        ),
        ({"penalty_weights": "params"}, "`penalty_weights='params'`: type equal or macs"),
        (
            {"penalty_schedule": "exp"},
            "unknown penalty schedule 'exp' (known: constant, cosine, linear, lr)",
        ),
        (
            {**SPARSE, "polarity": 2.0},
            "`polarity=2.0`: penalty l1 has none: type `penalty='polarization'` with it",
        ),
        (
            {**SPARSE, "epochs": 2, "penalty_warmup": 2},
            "`penalty_warmup=2`: with `epochs=2` the penalty would never reach its strength; type fewer than 2 epochs "
            "of warm-up",
        ),
        (
            {**SPARSE, "s": 1e30},
            "`s=1e+30`: with `lr=0.1` each step moves a scale by 1e+29, and scales begin at 1 or below: nothing could "
            "be learnt; type 1e-5 to 1e-2 as is usual, or less than 10",
        ),
        ({"temperature": 2.0}, "`temperature=2.0`: there is no teacher: type `teacher=FILE` with it"),
        (
            {"teacher": Path("logs/model_best.pth.tar")},
            "`teacher='logs/model_best.pth.tar'` is a file that this run writes; give another `save`",
        ),
        (
            {"reinitialize": True},
            "`reinitialize=True` keeps the shape of a pruned network: type `refine=FILE` with it",
        ),
    ],
)
def test_settings_that_can_not_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        check_step(TrainConfig(**{"epochs": 2, **given}))
    assert str(error.value) == message


# The teacher


def test_a_teacher_changes_what_is_learnt_and_another_one_is_another_run(
    run_train: Train, trained: Path, pruned: Path, tmp_path: Path
) -> None:
    refine = {"refine": pruned / "pruned.pth.tar", "epochs": 1}
    run_train(save=tmp_path / "without", **refine)
    run_train(save=tmp_path / "with", **refine, teacher=trained / BEST)
    run_train(save=tmp_path / "again", **refine, teacher=trained / BEST)
    files = [read_checkpoint(tmp_path / name / CHECKPOINT).state_dict for name in ("without", "with", "again")]
    assert not torch.equal(files[0]["fc.weight"], files[1]["fc.weight"])
    assert all(torch.equal(value, files[2][key]) for key, value in files[1].items())
    with pytest.raises(UsageError, match=r"holds another run \(teacher: .*model_best.* there, .*checkpoint.* now\)"):
        run_train(save=tmp_path / "with", **refine, teacher=trained / CHECKPOINT)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            {"num_classes": 3, "in_channels": 1},
            "its network knows 3 classes, folder has 2; give one that was trained on folder",
        ),
        ({"num_classes": 2, "in_channels": 3}, "its network can't take the images of folder (1 x 8 x 8): "),
    ],
)
def test_a_teacher_of_other_classes_or_images_is_refused(
    run_train: Train, tmp_path: Path, shape: dict[str, int], message: str
) -> None:
    file = tmp_path / "teacher.pth.tar"
    netslim.save(file, create_model("resnet", depth=11, **shape))
    with pytest.raises(CheckpointError) as error:
        run_train(save=tmp_path / "run", teacher=file)
    assert str(error.value).startswith(f"`teacher='{file}'`: {message}")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_another_data_set_is_refused_though_it_has_as_many_classes(
    run_train: Train, trained: Path, tmp_path: Path
) -> None:
    checkpoint = read_checkpoint(trained / BEST)
    assert checkpoint.dataset
    checkpoint.dataset = {**checkpoint.dataset, "name": "pets", "class_names": ["cat", "dog"]}
    write_checkpoint(tmp_path / "pets.pth.tar", checkpoint)
    with pytest.raises(CheckpointError) as error:
        run_train(save=tmp_path / "run", teacher=tmp_path / "pets.pth.tar")
    assert str(error.value) == (
        f"`teacher='{tmp_path / 'pets.pth.tar'}'`: its network was trained on the classes of pets, not those of "
        f"folder; give one that was trained on folder"
    )


def test_a_teacher_sees_images_as_it_learnt_them(run_train: Train, trained: Path, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(trained / BEST)
    assert checkpoint.dataset
    config = TrainConfig.build({"teacher": trained / BEST, "dataset": "folder"})
    dataset = ImageDataset(
        name="folder",
        train=Split(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)),
        test=Split(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)),
        class_names=tuple(checkpoint.dataset["class_names"]),
        mean=tuple(checkpoint.dataset["mean"]),
        std=tuple(checkpoint.dataset["std"]),
        augmentation=Augmentation(pad=0, flip=False),
    )
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    said = []
    for mean, std in ((dataset.mean, dataset.std), ((0.0,), (1.0,))):
        teacher = open_teacher(config, dataclasses.replace(dataset, mean=mean, std=std), torch.device("cpu"))
        assert teacher is not None
        said.append(teacher.logits((images - mean[0]) / std[0]))
    assert torch.allclose(*said, rtol=1e-4, atol=1e-5)


def test_adam_takes_any_strength_and_sgd_any_under_which_a_scale_can_come_to_rest() -> None:
    check_step(TrainConfig(**SPARSE, s=1e30, optimizer="adam"))
    check_step(TrainConfig(**SPARSE, s=9.9, lr=0.1))
    check_step(TrainConfig(s=1e30))  # without a penalty nothing reads it
