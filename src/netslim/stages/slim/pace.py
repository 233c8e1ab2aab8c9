"""How long an epoch takes here: a few steps of the training as it will be, timed."""

import itertools
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn

from netslim.core.errors import ArgumentError, NetslimError, NetslimWarning
from netslim.core.networks.scale_norms import scale_norms
from netslim.core.networks.trees import Batch
from netslim.core.plugins.references import is_reference
from netslim.core.protocols import plan_of
from netslim.data import at_hand, evaluation_batches, train_batches
from netslim.pruning import apply, plan
from netslim.pruning.budget.sensitivity import IMAGES as SENSED_BY
from netslim.pruning.budget.sensitivity import SHARES
from netslim.stages.prune.repairing import BATCHES, IMAGES
from netslim.stages.shared.calibration_data import BATCH_SIZE
from netslim.stages.shared.datasets import data_directory, open_any
from netslim.stages.shared.devices import pick_device
from netslim.stages.shared.networks import name_of
from netslim.stages.shared.tasks import task_of
from netslim.stages.slim.durations import seconds_of, shown, typed
from netslim.stages.slim.planning import LEAST_EPOCHS, MOST_EPOCHS
from netslim.stages.slim.recipe import BUDGETS, Recipe, Step, is_file
from netslim.stages.slim.settings import Planned
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.initial_model import Start, start_model
from netslim.stages.train.splits import splits_of
from netslim.stages.train.step_setup import build_step
from netslim.training.precision_probe import choose_precision

STEPS, SECONDS = 3, 0.5  # are timed at least, after a first one
USED = 0.85  # of the time is planned: machines are not as fast all the time
START = 2.0  # seconds that a step takes before it works
FIT, LOOK = 15.0, 1.5  # forward passes that an image costs on which layers are fitted, or statistics measured
MET = 0.01  # of a budget may be missed by rounded widths
Shape = Mapping[str, Any]  # settings of a pruning beside its budget
_SHAPED_BY = ("min_channels", "round_to", "residual", "per_layer")  # what a small network is like, beside its budget
SENSED_SHARE = 0.1  # of the time may go to looking at each group by itself
RUNS = len(SHARES)  # of each group by which its sensitivity is found


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds for an image in training and in evaluation, and how many images there are.

    `small_second` is that of training the pruned network, of that `shape`; where it is None, that counts like the
    unpruned one, as evaluation always does. All of it is in this `precision`, the fastest here. `has_scales`: whether
    the network has scales, which a penalty can act on and a pruning can go by. `groups`: of its channels, so
    many; 0 where no pruning was tried.
    """

    train_second: float
    test_second: float
    train: int
    val: int
    test: int
    small_second: float | None = None
    shape: Shape = field(default_factory=dict)
    precision: str = "auto"
    has_scales: bool = True
    groups: int = 0

    @property
    def epoch(self) -> float:
        """Seconds of an epoch of training, with the evaluation after it."""
        return self.train * self.train_second + self.val * self.test_second

    @property
    def small_epoch(self) -> float:
        """The same of the pruned network."""
        return (
            self.epoch
            if self.small_second is None
            else self.epoch + self.train * (self.small_second - self.train_second)
        )

    @property
    def sensing(self) -> float:
        """Seconds in which each group is looked at by itself (`--allocation sensitivity`)."""
        return self.groups * RUNS * SENSED_BY * self.test_second

    def can_sense(self, seconds: float) -> bool:
        """Whether there is time for that in a run of so many, as far as is known."""
        return 0 < self.sensing <= SENSED_SHARE * seconds

    def of(self, step: Step, *, small: bool) -> float:
        """Seconds that a step is expected to take; `small`: of a training, whether it is of the pruned network."""
        return self.training(step, small=small) + self.around(step)

    def of_all(self, recipe: Recipe) -> float:
        """The same of all steps together."""
        return sum(self.of(step, small=step.verb == "train" and recipe.is_pruned(step.name)) for step in recipe.steps)

    def training(self, step: Step, *, small: bool) -> float:
        """Seconds of its epochs."""
        epochs = int(step.settings.get("epochs", 160)) if step.verb == "train" else 0
        if (rounds := _rounds(step)) > 1:
            epochs = (rounds - 1) * int(step.settings.get("epochs", 1))
        return epochs * (self.small_epoch if small else self.epoch)

    def around(self, step: Step) -> float:
        """Seconds of all else that it does."""
        images = self.test * {"train": 1, "prune": 3 * _rounds(step), "evaluate": 1}.get(step.verb, 0)
        sensing = _rounds(step) * self.sensing if step.settings.get("allocation") == "sensitivity" else 0
        return START + (images + self._repairs(step)) * self.test_second + sensing

    def _repairs(self, step: Step) -> float:
        """Forward passes in which what is left is put right, in all rounds of a pruning."""
        rounds, asked = _rounds(step), step.settings.get("reconstruct")
        statistics = step.settings.get("recalibrate")
        measured = LOOK * min(self.train, BATCH_SIZE * int(BATCHES if statistics is None else statistics))
        fitted = int((IMAGES if statistics is None else 0) if asked is None else asked)
        last = FIT * min(self.train, fitted) if fitted else measured
        return rounds and last + (rounds - 1) * (last if asked is not None else measured)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def _rounds(step: Step) -> int:
    return int(step.settings.get("steps", 1)) if step.verb == "prune" else 0


def is_there(config: TrainConfig) -> bool:
    """Whether its images can be had without a download."""
    return is_reference(config.dataset) or at_hand(config.dataset, data_directory(config.data_dir))


def measure_pace(config: TrainConfig, pruning: Mapping[str, Any], shapes: Sequence[Shape] = ()) -> Pace:
    """Times a few steps of a training, and an evaluation, on its data and device. Nothing is written.

    Args:
        config: of the training of the unpruned network.
        pruning: settings of the pruning after which the training goes on, as in a recipe; empty: there is none.
        shapes: settings of the pruning that may be added: the first ones with which its budget can be met are.

    Raises:
        UsageError: the network or the data set.
        DataError: the data set.
    """
    device = pick_device(config.device)
    origin = Start.of(config)
    dataset = open_any(config.dataset, config, origin.normalization)
    splits = splits_of(dataset, config, device)
    model = start_model(config, dataset, origin).to(device)
    task = task_of(config, dataset, device=device)
    batches = train_batches(splits.train, dataset, batch_size=config.batch_size, seed=config.seed, device=device)
    own, first = is_reference(name_of(model)), next(batches.epoch(0))
    precision = choose_precision(config.precision, model, *first, objective=task.objective, any_layout=not own)

    def second_of(network: nn.Module) -> float:
        precision.arrange_(network)
        step = build_step(config, network, precision, dataset, objective=task.objective)
        return _second(lambda batch: float(step(*batch).loss), [batches.epoch(0), batches.epoch(1)])

    train_second = second_of(model)
    small, shape = _pruned_to(model, pruning, shapes, first[0][:2]) if pruning else (None, {})
    small_second = second_of(small) if small else None
    groups = len(decided.groups) if small and (decided := plan_of(small)) else 0
    few = itertools.islice(evaluation_batches(splits.select, dataset, batch_size=64, device=device), 1)
    start = time.perf_counter()
    found = task.evaluate(model, few)
    test_second = (time.perf_counter() - start) / max(1, found.images)
    sizes = {"train": len(splits.train), "val": len(splits.select), "test": len(splits.test)}
    return Pace(
        train_second=train_second,
        small_second=small_second,
        test_second=test_second,
        shape=shape,
        precision=precision.name,
        has_scales=bool(scale_norms(model)),
        groups=groups,
        **sizes,
    )


def _pruned_to(
    model: nn.Module, pruning: Mapping[str, Any], shapes: Sequence[Shape], example: Batch
) -> tuple[nn.Module | None, Shape]:
    """A network of the first shape with which the budget is met, or of none of them."""
    for shape in shapes:
        found = _pruned(model, {**pruning, **shape}, example)
        if found is not None and _is_met(found):
            return found, shape
    return _pruned(model, pruning, example), {}


def _pruned(model: nn.Module, settings: Mapping[str, Any], example: Batch) -> nn.Module | None:
    """A network as small as it will be, whichever channels those are; None where that can't be told, or be done."""
    given = {name: settings[name] for name in (*BUDGETS, *_SHAPED_BY) if name in settings}
    if given.get("target_latency") is not None:
        return None
    with warnings.catch_warnings(action="ignore", category=NetslimWarning):
        try:
            return apply(model, plan(model, example, criterion="random", **given))
        except NetslimError:
            return None


def _is_met(pruned: nn.Module) -> bool:
    found = plan_of(pruned)
    budget = found.budget if found else None
    return budget is not None and abs(budget.reached - budget.target) <= MET * budget.target


def _second(take: Callable[[Any], float], epochs: Sequence[Iterable[Any]]) -> float:
    """Seconds that a step takes per image. The first one warms up."""
    count, start = 0, 0.0
    for number, batch in enumerate(itertools.chain.from_iterable(epochs)):
        take(batch)  # waits for the device
        if number == 0:
            start = time.perf_counter()
            continue
        count += len(batch[0])
        if number >= STEPS and time.perf_counter() - start > SECONDS:
            break
    return (time.perf_counter() - start) / max(1, count)


def probe_of(recipe: Recipe) -> TrainConfig | None:
    """A training that stands for those of a recipe, started anew; None if the recipe trains nothing."""
    train = next((step for step in recipe.steps if step.verb == "train"), None)
    if train is None:
        return None
    names = TrainConfig.model_fields
    taken = ("batch_size", "accumulate", "select_on", "val_share", "arch", "depth", "stem", "arch_args", "precision")
    values = {name: value for name, value in recipe.shared.items() if name in names}
    values |= {name: train.settings[name] for name in taken if name in train.settings}
    values |= _network(recipe, train)
    return TrainConfig.build(values)


def pruning_of(recipe: Recipe) -> dict[str, Any]:
    """The settings of the first pruning that a training comes after; empty without one."""
    trained = [step for step in recipe.steps if step.verb == "train" and recipe.is_pruned(step.name)]
    prune = next((step for step in recipe.steps if step.verb == "prune"), None)
    return dict(prune.settings) if prune and trained else {}


def epochs_within(time: str, pace: Pace, recipe: Recipe, share: float = 1.0) -> int:
    """The number of epochs, of all trainings together, that fit into a time.

    Args:
        time: as given.
        pace: of the network.
        recipe: planned for any number of epochs.
        share: of the time that this recipe has, where it is one of several variants.

    Raises:
        ArgumentError: there are too few of them to be a training.
    """
    steps = [(step, recipe.is_pruned(step.name)) for step in recipe.steps]
    around = sum(pace.around(step) for step, _ in steps)
    around += sum(pace.training(step, small=small) for step, small in steps if step.verb == "prune")
    trained = [(step, small) for step, small in steps if step.verb == "train"]
    epochs = sum(int(step.settings["epochs"]) for step, _ in trained)
    each = sum(pace.training(step, small=small) for step, small in trained) / epochs
    found = int((USED * share * seconds_of(time) - around) / each)
    if found < LEAST_EPOCHS:
        least = 1.02 * (around + LEAST_EPOCHS * each) / (USED * share)
        raise ArgumentError(
            "time",
            time,
            f"an epoch takes about {shown(each)} here, and {LEAST_EPOCHS} of them with all around them about "
            f"{shown(least)}; type `time='{typed(least)}'` or more, or take a smaller network or `image_size`",
        )
    return min(found, MOST_EPOCHS)


def expected(steps: list[Planned], pace: Pace | None) -> Mapping[str, float]:
    """Seconds by step's name; nothing without a pace."""
    if pace is None:
        return {}
    return {
        each.step.name: pace.of(each.step, small=getattr(each.config, "refine", None) is not None) for each in steps
    }


def _network(recipe: Recipe, train: Step) -> dict[str, Any]:
    """The settings that build the network that a training starts from."""
    if not train.starts:
        return {}
    start = train.starts[0]
    if is_file(start):
        return {"resume": start}
    source = recipe.step(start)
    if source.verb != "transfer":
        return _network(recipe, source)
    given = source.settings
    arch = given.get("arch", recipe.shared.get("arch", "resnet"))
    if arch == "same":
        arch = f"{given.get('source', 'torchvision')}/{given.get('model_name', 'resnet50')}"
    return {"arch": arch} | {name: given[name] for name in ("depth", "stem") if name in given}
