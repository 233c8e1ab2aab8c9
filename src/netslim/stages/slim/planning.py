"""The recipe that `netslim slim` makes where none is given. What to change after a new measurement stands here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netslim.core.errors import UsageError, setting, unknown_name
from netslim.core.plugins.references import is_reference
from netslim.stages.shared.plugins import LIBRARIES
from netslim.stages.slim.config import PlannedConfig, given
from netslim.stages.slim.recipe import BUDGETS, SHARED, Recipe, Step, is_file, read_recipe

EPOCHS = {False: 100, True: 30}  # of all training, without a time: from scratch, of a trained network
LEAST_EPOCHS = 4  # of all training: less is no training
MOST_EPOCHS = 200  # more time than they need is not used
DENSE_SHARE = 0.05  # of the epochs come before the pruning, but for a network that knows these images
# rates are the highest of one cycle: from scratch and with few images, and of a trained network with many
ADAMW: dict[str, Any] = {"optimizer": "adamw", "lr": 3e-3, "weight_decay": 0.01}
SGD: dict[str, Any] = {"lr": 0.05}
PENALTY: dict[str, Any] = {"sparsity_regularization": True, "s": 1e-4}  # of the training before the pruning
# from scratch fitted layers made no difference after the training that follows: their time goes to its epochs
FITTED: dict[bool, dict[str, Any]] = {False: {"reconstruct": 0}, True: {}}
BY_WEIGHTS: dict[str, Any] = {"criterion": "group_l2_norm"}  # where no penalty had the time to part the scales
SENSED: dict[str, Any] = {"allocation": "sensitivity"}  # of a trained network (results/real.csv)
CHOSEN = {**BY_WEIGHTS, **SENSED}  # what a plan may add to a pruning beside its shape
SMOOTHING = 0.1  # of the labels, with AdamW, where the data set is one of classes
BATCH_SIZE, SMALL_BATCH = 64, 24
FEW_IMAGES = 5000  # of fewer, an epoch has too few steps at the larger batch
BUDGET: dict[str, Any] = {"target_macs": 0.5}  # where none is given
# widths that are trained fast, where nobody said which: the first with which the budget is met; from scratch or not
SHAPES: dict[bool, tuple[dict[str, Any], ...]] = {
    False: ({"residual": "couple", "round_to": 16}, {"round_to": 8}),
    True: ({"residual": "couple", "round_to": 8}, {"round_to": 8}),
}
SMALL_IMAGES = 64  # pixels up to which a library's network gets a stem for small images
TINY_DATASETS = ("digits",)  # have as few, and their images need not be counted
SMALL_DATASETS = ("cifar10", "cifar100", "digits", "fashion-mnist")


def planned_recipe(
    config: PlannedConfig,
    epochs: int | None = None,
    images: int | None = None,
    *,
    shape: Mapping[str, Any] | None = None,
    precision: str = "auto",
    has_scales: bool = True,
    sensed: bool = False,
) -> Recipe:
    """Train with a penalty, prune to the budget, fine-tune. A network that knows the images is pruned at once.

    Args:
        config: network, data and budget.
        epochs: of both trainings together; None: as many as are usual.
        images: to train on, if that is known.
        shape: settings of the pruning beside the budget, one of `SHAPES`.
        precision: of both trainings, so that all variants have the same.
        has_scales: whether a penalty has scales to act on; else the weights say which channels go.
        sensed: whether a trained network's layers are looked at one by one, for which there has to be time.

    Raises:
        UsageError: no data set, two budgets, or two networks.
    """
    if config.dataset is None and config.checkpoint is not None:
        raise UsageError(f"type `dataset=NAME`: the images that {config.checkpoint} is trained on")
    if config.dataset is None:
        raise UsageError(
            "type a recipe, or `dataset=NAME` (`dataset='digits'` needs no download) with the network: `arch=NAME`"
        )
    budget = given(config, BUDGETS)
    if len(budget) > 1:
        raise UsageError(
            f"{' and '.join(setting(name, value) for name, value in budget.items())}: a plan has one budget; type one"
        )
    _check_network(config)
    shared = {name: value for name, value in given(config, SHARED).items() if name != "arch" or is_own(config)}
    few = config.dataset in TINY_DATASETS if images is None else images < FEW_IMAGES
    trained = is_trained(config)
    training: dict[str, Any] = {"schedule": "onecycle", "batch_size": SMALL_BATCH if few else BATCH_SIZE}
    if precision != "auto":
        training["precision"] = precision
    training |= ADAMW if few or not trained else SGD
    if (few or not trained) and _has_classes(config):
        training["label_smoothing"] = SMOOTHING
    pruning = {**(budget or BUDGET), **(shape or {}), **FITTED[trained]}
    pruning |= BY_WEIGHTS if trained or not has_scales else {}
    pruning |= SENSED if sensed and trained and _has_classes(config) else {}
    before = training | (PENALTY if has_scales else {})
    steps = _steps(config, split(epochs or EPOCHS[trained], config), before, pruning, training)
    return Recipe(shared=shared, steps=steps)


def _steps(
    config: PlannedConfig,
    epochs: tuple[int, int],
    before: Mapping[str, Any],
    pruning: Mapping[str, Any],
    after: Mapping[str, Any],
) -> tuple[Step, ...]:
    steps = [_transfer(config)] if is_pretrained(config) else []
    start = (_file(config.checkpoint),) if config.checkpoint else tuple(step.name for step in steps)
    if epochs[0]:
        named = start or is_own(config)
        network = {} if named else given(config, ("arch", "depth", "stem"))
        dense = {**network, "epochs": epochs[0], **before}
        steps.append(Step(name="dense", verb="train", starts=start, settings=dense))
        start = ("dense",)
    steps.append(Step(name="prune", verb="prune", starts=start, settings=pruning))
    tune = {"epochs": epochs[1], **after}
    return (*steps, Step(name="tune", verb="train", starts=("prune",), settings=tune))


def asked_recipe(config: PlannedConfig, path: Path | None) -> Recipe:
    """The recipe that was named, or one that is planned for the usual epochs, with the settings of steps changed.

    Raises:
        UsageError: the recipe, an unknown step or setting, or what a recipe leaves no choice of.
    """
    if path is None:
        recipe = planned_recipe(config)
        _check_one_budget(config)
    else:
        _check_has_recipe(config, path)
        recipe = read_recipe(path).with_shared(given(config, SHARED))
    return changed(recipe, config)


def _check_has_recipe(config: PlannedConfig, path: Path) -> None:
    """Raises UsageError for what only a plan takes, with what to type beside a recipe instead."""
    epochs = f"a time is for a plan, and {path} has epochs of its own: leave it out, or type --set STEP.epochs=NUMBER"
    config.refuse(given(config, ("time",)), epochs)
    config.refuse(("checkpoint",), f"{path} says in its steps what they start from: leave it out, or edit the file")
    for name, value in given(config, (*BUDGETS, "depth", "stem")).items():
        config.refuse((name,), f"of a recipe, steps have it: type --set STEP.{name}={value}, or edit {path}")


def budgets_of_plan(config: PlannedConfig) -> list[str]:
    """Its budget as the setting of the step that it becomes."""
    return [f"prune.{name}" for name in given(config, BUDGETS)]


def _check_one_budget(config: PlannedConfig) -> None:
    """Raises UsageError for a budget of the plan beside one that is set for a step: which one counts?"""
    for key, value in config.steps.items():
        if key.partition(".")[2].replace("-", "_") in BUDGETS:
            why = f"--set {key}={value} is a budget, too, and a plan has one: leave one of them out"
            config.refuse(BUDGETS, why)


def changed(recipe: Recipe, config: PlannedConfig) -> Recipe:
    """The recipe with what was said of single steps."""
    return recipe.with_settings(config.steps) if config.steps else recipe


def split(epochs: int, config: PlannedConfig) -> tuple[int, int]:
    """Epochs before and after the pruning, at least one each; none before it where the network knows these images."""
    before = 0 if config.checkpoint is not None else min(epochs - 1, max(1, round(DENSE_SHARE * epochs)))
    return before, epochs - before


def _has_classes(config: PlannedConfig) -> bool:
    return config.loss in (None, "cross_entropy") and not is_reference(config.dataset or "")


def is_pretrained(config: PlannedConfig) -> bool:
    """Whether the network comes with a library's weights."""
    return "/" in (config.arch or "") and not is_own(config)


def is_trained(config: PlannedConfig) -> bool:
    """Whether the network was trained before, by a library or by the user."""
    return config.checkpoint is not None or is_pretrained(config)


def is_own(config: PlannedConfig) -> bool:
    """Whether the network is code of the user's own, which every step has to be told."""
    return config.arch is not None and is_reference(config.arch)


def _check_network(config: PlannedConfig) -> None:
    """Raises UsageError for a file's network beside another one, and for a depth beside that in a name."""
    if is_pretrained(config):
        config.refuse(("depth",), f"{config.arch} has its depth in its name; leave it out")
    if config.checkpoint is None:
        return
    why = f"{config.checkpoint} says itself what network it holds"
    config.refuse(("depth", "stem") if is_own(config) else ("arch", "depth", "stem"), why)


def _file(path: Path) -> str:
    """A path that is no name of a step."""
    return str(path) if is_file(str(path)) else f"./{path}"


def _transfer(config: PlannedConfig) -> Step:
    library, _, name = (config.arch or "").partition("/")
    if library not in LIBRARIES.names():
        raise unknown_name("library", library, LIBRARIES.names())
    stem = config.stem or ("cifar" if _has_small_images(config) else "imagenet")
    return Step(
        name="transferred",
        verb="transfer",
        settings={"source": library, "model_name": name, "arch": "same", "stem": stem},
    )


def _has_small_images(config: PlannedConfig) -> bool:
    if config.image_size is not None:
        return config.image_size <= SMALL_IMAGES
    return config.dataset in SMALL_DATASETS
