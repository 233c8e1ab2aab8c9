"""How many epochs fit into a time."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from netslim.core.errors import ArgumentError
from netslim.core.protocols import plan_of
from netslim.stages.slim import pace as module
from netslim.stages.slim.config import SlimConfig
from netslim.stages.slim.pace import Pace, epochs_within, measure_pace, probe_of, pruning_of
from netslim.stages.slim.planning import LEAST_EPOCHS, MOST_EPOCHS, SHAPES, planned_recipe
from netslim.stages.slim.recipe import Step
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.step_setup import build_step
from netslim.training.precision import Precision

PACE = Pace(train_second=0.01, test_second=0.001, train=1000, val=100, test=100)
RECIPE = planned_recipe(SlimConfig(dataset="digits", depth=11), 10)


def test_an_epoch_is_its_images_and_the_evaluation() -> None:
    assert PACE.epoch == pytest.approx(10.1)


@pytest.mark.parametrize("minutes", [3, 10, 30])
def test_what_is_planned_fits(minutes: int) -> None:
    epochs = epochs_within(f"{minutes}m", PACE, RECIPE)
    recipe = planned_recipe(SlimConfig(dataset="digits", depth=11), epochs)
    expected = PACE.of_all(recipe)
    assert expected <= 60 * minutes
    assert expected > 0.8 * module.USED * 60 * minutes - PACE.epoch


def test_a_faster_small_network_is_trained_longer() -> None:
    pace = dataclasses.replace(PACE, small_second=0.005)
    assert (pace.epoch, pace.small_epoch) == (pytest.approx(10.1), pytest.approx(5.1))
    epochs = epochs_within("10m", pace, RECIPE)
    recipe = planned_recipe(SlimConfig(dataset="digits", depth=11), epochs)
    assert 0.9 * module.USED * 600 < pace.of_all(recipe) <= 600
    assert PACE.of_all(recipe) > 600


def test_looking_at_each_group_takes_its_time_and_no_more_than_a_tenth() -> None:
    pace = dataclasses.replace(PACE, groups=10)
    assert pace.sensing == pytest.approx(10 * 3 * 256 * 0.001)  # groups, widths, images
    assert (pace.can_sense(76), pace.can_sense(77)) == (False, True)
    assert not PACE.can_sense(1e9)  # as with a latency to meet: how many groups there are was not seen
    sensed = RECIPE.with_settings({"prune.allocation": "sensitivity"})
    assert pace.of_all(sensed) - pace.of_all(RECIPE) == pytest.approx(pace.sensing)


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({}, 15 * 512),  # layers are fitted
        ({"reconstruct": 2000}, 15 * 1000),  # on the images that there are
        ({"reconstruct": 0}, 1.5 * 1000),  # 20 batches of 128 images would be more than there are
        ({"recalibrate": 5}, 1.5 * 640),
        ({"recalibrate": 0}, 0),
        ({"steps": 3}, 15 * 512 + 2 * 1.5 * 1000),  # what a training follows is not fitted
        ({"steps": 3, "reconstruct": 100}, 3 * 15 * 100),
    ],
)
def test_a_pruning_takes_as_long_as_its_repair(settings: dict[str, Any], passes: float) -> None:
    step = Step(name="prune", verb="prune", starts=(), settings=settings)
    judged = 3 * 100 * settings.get("steps", 1)
    assert PACE.around(step) == pytest.approx(module.START + (judged + passes) * PACE.test_second)


def test_of_several_variants_each_has_its_share() -> None:
    assert epochs_within("30m", PACE, RECIPE, share=1 / 3) == epochs_within("10m", PACE, RECIPE)


def test_too_little_time_says_how_much_it_takes() -> None:
    with pytest.raises(ArgumentError) as error:
        epochs_within("20s", PACE, RECIPE)
    assert str(error.value) == (
        "`time='20s'`: an epoch takes about 10 s here, and 4 of them with all around them about 58 s; type "
        "`time='1m'` or more, or take a smaller network or `image_size`"
    )
    assert epochs_within("1m", PACE, RECIPE) >= LEAST_EPOCHS


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
    found = measure_pace(TrainConfig(dataset="folder", data_dir=folder, depth=11, batch_size=8, device="cpu"), {})
    assert found.small_second is None
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
    measure_pace(TrainConfig(**given), {})
    measure_pace(TrainConfig(**given, precision="fp32"), {})
    assert asked == ["auto", "fp32"]
    fixed = probe_of(RECIPE.with_settings({"dense.precision": "fp32"}))
    assert fixed is not None
    assert fixed.precision == "fp32"


def test_the_pruned_network_is_timed_as_small_as_it_will_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[nn.Module] = []

    def build(config: TrainConfig, model: nn.Module, *rest: Any, **named: Any) -> Any:
        trained.append(model)
        return build_step(config, model, *rest, **named)

    monkeypatch.setattr(module, "SECONDS", 0.0)
    monkeypatch.setattr(module, "build_step", build)
    config = TrainConfig(dataset="folder", data_dir=folder, depth=11, batch_size=8, device="cpu")
    found = measure_pace(config, pruning_of(planned_recipe(SlimConfig(dataset="folder", target_macs=0.4))))
    dense, small = map(plan_of, trained)
    assert dense is None
    assert small is not None
    assert small.after.macs == pytest.approx(0.4 * small.before.macs, rel=0.02)
    assert found.small_second is not None
    assert found.small_second > 0
    measure_pace(config, {"target_latency": "3ms"})  # what is pruned is not known without measurements
    measure_pace(config, {"target_macs": 1e-9})  # can't be met; the pruning says so
    assert len(trained) == 4


@pytest.mark.parametrize(
    ("depth", "share", "chosen"),
    [(20, 0.5, SHAPES[False][0]), (11, 0.5, SHAPES[False][0]), (11, 0.1, {})],
)
def test_the_first_shape_that_meets_the_budget_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch, depth: int, share: float, chosen: dict[str, Any]
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)
    config = TrainConfig(dataset="folder", data_dir=folder, depth=depth, batch_size=8, device="cpu", precision="fp32")
    found = measure_pace(config, {"target_macs": share}, SHAPES[False])
    assert found.shape == chosen
    assert found.precision == "fp32"


def test_widths_of_the_chosen_shape_are_timed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[set[int]] = []

    def build(config: TrainConfig, model: nn.Module, *rest: Any, **named: Any) -> Any:
        widths.append({layer.out_channels % 8 for layer in model.modules() if isinstance(layer, nn.Conv2d)})
        return build_step(config, model, *rest, **named)

    monkeypatch.setattr(module, "SECONDS", 0.0)
    monkeypatch.setattr(module, "build_step", build)
    config = TrainConfig(dataset="folder", data_dir=folder, depth=20, batch_size=8, device="cpu")
    assert measure_pace(config, {"target_macs": 0.5}, [{"round_to": 64}, {"round_to": 8}]).shape == {"round_to": 8}
    assert measure_pace(config, {"target_macs": 0.5}).shape == {}
    unpruned, rounded, _, plain = widths
    assert unpruned == rounded == {0}
    assert plain != {0}


def test_whether_there_are_scales_is_seen_on_the_network(folder: Path, tmp_path: Path) -> None:
    code = tmp_path / "net.py"
    code.write_text(
        "from torch import nn\n\n\ndef make(num_classes, in_channels, norm):\n"
        "    kinds = {'one': nn.GroupNorm(1, 8), 'four': nn.GroupNorm(4, 8)}\n"
        "    layers = nn.Conv2d(in_channels, 8, 3), kinds[norm], nn.AdaptiveAvgPool2d(1), nn.Flatten()\n"
        "    return nn.Sequential(*layers, nn.Linear(8, num_classes))\n"
    )
    given = {"arch": f"{code}:make", "dataset": "folder", "data_dir": folder, "batch_size": 2, "device": "cpu"}
    for norm, has_scales in (("one", False), ("four", True)):
        config = TrainConfig.build({**given, "arch_args": [f"norm={norm}"]})
        assert measure_pace(config, {}).has_scales is has_scales


def test_without_a_training_after_it_no_pruning_is_timed() -> None:
    assert pruning_of(RECIPE) == {"target_macs": 0.5, "reconstruct": 0}
    assert pruning_of(dataclasses.replace(RECIPE, steps=RECIPE.steps[:2])) == {}
