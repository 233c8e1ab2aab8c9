"""How many epochs fit into a time."""

from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import ArgumentError
from netslim.stages.slim import pace as module
from netslim.stages.slim.config import SlimConfig
from netslim.stages.slim.pace import Pace, epochs_within, measure_pace, probe_of
from netslim.stages.slim.planning import LEAST_EPOCHS, MOST_EPOCHS, planned_recipe
from netslim.stages.train.config import TrainConfig
from netslim.training.precision import Precision

PACE = Pace(train_second=0.01, test_second=0.001, train=1000, val=100, test=100)
RECIPE = planned_recipe(SlimConfig(dataset="digits", depth=11), 10)


def test_an_epoch_is_its_images_and_the_evaluation() -> None:
    assert PACE.epoch == pytest.approx(10.1)


@pytest.mark.parametrize("minutes", [3, 10, 30])
def test_what_is_planned_fits(minutes: int) -> None:
    epochs = epochs_within(f"{minutes}m", PACE, RECIPE)
    recipe = planned_recipe(SlimConfig(dataset="digits", depth=11), epochs)
    expected = sum(PACE.of(step) for step in recipe.steps)
    assert expected <= 60 * minutes
    assert expected > 0.8 * module.USED * 60 * minutes - PACE.epoch


def test_of_several_variants_each_has_its_share() -> None:
    assert epochs_within("30m", PACE, RECIPE, share=1 / 3) == epochs_within("10m", PACE, RECIPE)


def test_too_little_time_says_how_much_it_takes() -> None:
    with pytest.raises(ArgumentError) as error:
        epochs_within("20s", PACE, RECIPE)
    assert str(error.value) == (
        "`time='20s'`: an epoch takes about 10 s here, and 4 of them with all around them about 65 s; type "
        "`time='2m'` or more, or take a smaller network or `image_size`"
    )
    assert epochs_within("2m", PACE, RECIPE) >= LEAST_EPOCHS


def test_more_time_than_it_needs_is_not_used() -> None:
    assert epochs_within("overnight", PACE, RECIPE) == MOST_EPOCHS


def test_what_stands_for_the_trainings_of_a_recipe() -> None:
    probe = probe_of(RECIPE)
    assert probe is not None
    assert (probe.dataset, probe.depth, probe.epochs) == ("digits", 11, TrainConfig().epochs)
    moved = probe_of(planned_recipe(SlimConfig(dataset="cifar10", arch="torchvision/resnet18")))
    assert moved is not None
    assert (moved.arch, moved.stem, moved.resume) == ("torchvision/resnet18", "cifar", None)


def test_a_pace_is_of_the_images_that_there_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)
    found = measure_pace(TrainConfig(dataset="folder", data_dir=folder, depth=11, batch_size=8, device="cpu"))
    assert (found.train, found.val, found.test) == (23, 3, 8)
    assert min(found.train_second, found.test_second) > 0


def test_steps_are_timed_in_the_precision_of_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def choose(name: str, *_: Any, **__: Any) -> Precision:
        asked.append(name)
        return Precision("fp32")

    monkeypatch.setattr(module, "SECONDS", 0.0)
    monkeypatch.setattr(module, "choose_precision", choose)
    given = {"dataset": "folder", "data_dir": folder, "depth": 11, "batch_size": 8, "device": "cpu"}
    measure_pace(TrainConfig(**given))
    measure_pace(TrainConfig(**given, precision="fp32"))
    assert asked == ["auto", "fp32"]
    fixed = probe_of(RECIPE.with_settings({"dense.precision": "fp32"}))
    assert fixed is not None
    assert fixed.precision == "fp32"
