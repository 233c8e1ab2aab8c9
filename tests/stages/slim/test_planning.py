"""The recipe that is made where none is given."""

import re
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import UsageError
from netslim.stages.slim import planning
from netslim.stages.slim.config import SlimConfig
from netslim.stages.slim.planning import asked_recipe, planned_recipe, split


def plan(**given: Any) -> list[dict[str, Any]]:
    recipe = planned_recipe(SlimConfig(**given), given.pop("epochs", None))
    return [step.to_dict() for step in recipe.steps]


def test_from_scratch() -> None:
    dense, prune, tune = plan(dataset="digits", depth=20)
    assert (dense["verb"], dense["depth"], dense.get("from")) == ("train", 20, None)
    assert (prune["from"], prune["target_macs"]) == ("dense", 0.5)
    assert tune["from"] == "prune"
    assert (
        "teacher" not in tune
    )  # its forward pass is worth less than the epochs that it costs: results/slim_recipes.csv
    assert dense["epochs"] + tune["epochs"] == planning.EPOCHS[False]


@pytest.mark.parametrize(
    ("given", "stem"), [({}, "cifar"), ({"image_size": 224}, "imagenet"), ({"stem": "imagenet"}, "imagenet")]
)
def test_a_librarys_network_comes_with_its_weights(given: dict[str, Any], stem: str) -> None:
    transfer, dense, *_ = plan(dataset="cifar10", arch="torchvision/resnet18", **given)
    assert transfer["verb"] == "transfer"
    assert (transfer["source"], transfer["model_name"], transfer["arch"]) == ("torchvision", "resnet18", "same")
    assert transfer["stem"] == stem
    assert dense["from"] == "transferred"
    assert dense["lr"] == planning.SGD["lr"]
    assert "arch" not in dense


def test_a_network_without_scales_is_pruned_by_its_weights() -> None:
    for config in (SlimConfig(dataset="digits"), SlimConfig(dataset="digits", arch="timm/convnext_atto")):
        *_, dense, prune, _ = (step.settings for step in planned_recipe(config, has_scales=False).steps)
        assert not {"sparsity_regularization", "s", "penalty"} & {*dense}
        assert prune["criterion"] == "group_l2_norm"


def test_code_of_ones_own_is_named_in_every_step() -> None:
    recipe = planned_recipe(SlimConfig(dataset="mine.py:data", arch="mine.py:net", loss="mse"))
    assert recipe.shared == {"dataset": "mine.py:data", "arch": "mine.py:net", "loss": "mse"}


def test_few_images_have_small_batches() -> None:
    """Counted, or known: `netslim recipe new` counts none, and writes the same plan for the digits."""

    def batch(dataset: str, images: int | None) -> int:
        return int(planned_recipe(SlimConfig(dataset=dataset), 10, images).steps[0].settings["batch_size"])

    assert [batch("cifar10", images) for images in (None, 1000, 50_000)] == [64, 24, 64]
    assert batch("digits", None) == batch("digits", 1293) == 24


@pytest.mark.parametrize("epochs", [2, 4, 5, 17, 200])
def test_both_trainings_have_epochs(epochs: int) -> None:
    for config in (SlimConfig(), SlimConfig(arch="torchvision/resnet18")):
        before, after = split(epochs, config)
        assert min(before, after) >= 1
        assert before + after == epochs


def test_networks_are_pruned_early_and_one_that_knows_the_images_at_once() -> None:
    assert (split(100, SlimConfig()), split(20, SlimConfig())) == ((5, 95), (1, 19))
    assert split(20, SlimConfig(checkpoint=Path("mine.pth.tar"))) == (0, 20)


def test_labels_are_smoothed_where_there_are_classes_and_new_weights() -> None:
    def smoothed(**given: Any) -> set[float | None]:
        return {step.get("label_smoothing") for step in plan(**given) if step["verb"] == "train"}

    assert smoothed(dataset="digits") == smoothed(dataset="digits", loss="cross_entropy") == {0.1}
    assert smoothed(dataset="digits", loss="mse") == smoothed(dataset="mine.py:data", arch="mine.py:net") == {None}
    assert smoothed(dataset="digits", checkpoint=Path("some.pth.tar")) == {0.1}  # few images
    assert smoothed(dataset="cifar10", checkpoint=Path("some.pth.tar")) == {None}


def test_both_trainings_from_scratch_have_one_optimizer() -> None:
    """Little of the network is trained when it is pruned: the training after it is the main one."""
    dense, _, tune = plan(dataset="digits")
    assert (
        {name: dense[name] for name in planning.ADAMW}
        == {name: tune[name] for name in planning.ADAMW}
        == planning.ADAMW
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "type a recipe, or `dataset=NAME`"),
        ({"checkpoint": Path("a.pth.tar")}, "type `dataset=NAME`: the images that a.pth.tar is trained on"),
        (
            {"dataset": "digits", "percent": 0.4, "target_macs": "0.5"},
            "`percent=0.4` and `target_macs='0.5'`: a plan has one budget; type one",
        ),
        (
            {"dataset": "digits", "arch": "torchvision/resnet18", "depth": 18},
            "`depth=18`: torchvision/resnet18 has its depth in its name; leave it out",
        ),
        (
            {"dataset": "digits", "arch": "torchvison/resnet18"},
            "unknown library 'torchvison'; did you mean torchvision",
        ),
    ],
)
def test_what_can_not_be_planned(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        plan(**given)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("key", ["prune.percent", "prune.target-macs"])
def test_a_budget_of_the_plan_and_one_of_its_step(key: str) -> None:
    message = f"`target_macs=0.5`: --set {key}=0.4 is a budget, too, and a plan has one: leave one of them out"
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        asked_recipe(SlimConfig.build({"dataset": "digits", "target_macs": 0.5, key: 0.4}), None)
    assert asked_recipe(SlimConfig.build({"dataset": "digits", key: 0.4}), None).step("prune").settings


def test_a_recipe_leaves_no_choice_of_the_plan(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('[[step]]\nverb = "train"\nepochs = 2\n')
    epochs = f"a time is for a plan, and {file} has epochs of its own: leave it out, or type --set STEP.epochs=NUMBER"
    for given, message in (
        ({"time": "10m"}, epochs),
        ({"checkpoint": "a.pth.tar"}, f"{file} says in its steps what they start from: leave it out, or"),
        ({"target_macs": 0.5}, f"of a recipe, steps have it: type --set STEP.target_macs=0.5, or edit {file}"),
        ({"depth": 20}, f"of a recipe, steps have it: type --set STEP.depth=20, or edit {file}"),
    ):
        with pytest.raises(UsageError, match=re.escape(f"`: {message}")):
            asked_recipe(SlimConfig(**given), file)
    recipe = asked_recipe(SlimConfig.build({"dataset": "digits", "train.epochs": 3, "seed": 5}), file)
    assert recipe.shared == {"dataset": "digits", "seed": 5}
    assert recipe.steps[0].settings == {"epochs": 3}


def test_a_trained_network_is_pruned_at_once_by_its_weights(tmp_path: Path) -> None:
    prune, tune = plan(dataset="digits", checkpoint=tmp_path / "mine.pth.tar")
    assert (prune["verb"], prune["from"], tune["from"]) == ("prune", str(tmp_path / "mine.pth.tar"), "prune")
    assert prune["criterion"] == "group_l2_norm"
    assert not {"allocation", "reconstruct", "arch", "depth"} & prune.keys()
    assert tune["optimizer"] == "adamw"
    assert plan(dataset="digits", checkpoint=Path("mine"))[0]["from"] == "./mine"  # a file, and no step's name


def test_with_many_images_a_trained_network_is_trained_on_by_sgd() -> None:
    _, tune = plan(dataset="cifar10", checkpoint=Path("mine.pth.tar"))
    assert (tune.get("optimizer"), tune["lr"]) == (None, planning.SGD["lr"])
    dense, _, tune = plan(dataset="cifar10", depth=20)
    assert dense["optimizer"] == tune["optimizer"] == "adamw"  # a new one never


def test_layers_are_looked_at_one_by_one_where_there_is_time_and_what_to_compare() -> None:
    def allocation(**given: Any) -> str | None:
        prune = planned_recipe(SlimConfig(**given), sensed=True).step("prune")
        found: str | None = prune.settings.get("allocation")
        return found

    assert allocation(dataset="digits", checkpoint=Path("mine.pth.tar")) == "sensitivity"
    assert allocation(dataset="cifar10", arch="torchvision/resnet18") == "sensitivity"
    assert allocation(dataset="digits") is None
    assert allocation(dataset="mine.py:data", arch="mine.py:net", checkpoint=Path("mine.pth.tar")) is None


@pytest.mark.parametrize("given", [{"arch": "torchvision/resnet18"}, {"depth": 20}, {"stem": "cifar"}])
def test_a_file_says_itself_what_network_it_holds(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"mine\.pth says itself what network it holds"):
        plan(dataset="digits", checkpoint=Path("mine.pth"), **given)
