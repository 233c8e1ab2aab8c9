"""Pruning in rounds (`steps` of more than 1): prune a part, fine-tune, prune on.

The network keeps the same share of what it has in every round (as in Frankle and Carbin 2019, section 2), so that each
round asks as much of the network as the others. The same number of channels each time would ask most of the last one:
of 100 channels down to 30 in three rounds, it would take 44 % of what is left, and the first one 23 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import InterruptedRunError, UsageError, setting
from netslim.core.plugins.references import is_reference, load_reference
from netslim.core.protocols import Cost, PrunePlan
from netslim.core.runlog import RunDirectory
from netslim.core.runs.file_names import CHECKPOINT, PLAN
from netslim.cost import measure
from netslim.network import read
from netslim.own_loop.rounds import final_channels, of_all_rounds, percent_to_leave
from netslim.pruning import plan_from_dict
from netslim.pruning.budget.request import Request
from netslim.pruning.plan_data import read_plan
from netslim.pruning.zero_channels import shrank
from netslim.report.console import say
from netslim.report.page.beside import write_beside
from netslim.report.trackers import TRACKERS
from netslim.stages.next_step import ADAPTIVE_RATE
from netslim.stages.prune.config import PruneConfig
from netslim.stages.prune.planning import budget_of
from netslim.stages.shared.config import TaskConfig
from netslim.stages.shared.datasets import dataset_name, known_facts, open_any
from netslim.stages.shared.example_input import example_input
from netslim.stages.shared.networks import sound_network
from netslim.stages.train.config import TrainConfig
from netslim.training.optimizers import OPTIMIZERS
from netslim.training.schedule import rate_factor

BETWEEN = (
    "epochs",
    "optimizer",
    "lr",
    "schedule",
    "batch_size",
    "precision",
    "track",
)  # settings of the training between two rounds
BUDGETS = ("percent", "target_params", "target_macs", "target_latency")
SGDS_RATE = 0.01  # of a network that was trained before
Prune = Callable[[PruneConfig], dict[str, Any]]


def check_rounds(config: PruneConfig) -> None:
    """Raises UsageError for settings that contradict the number of rounds, before anything is opened."""
    if config.steps > 1:
        rate_factor(config.schedule, 0, 1, 0.0)
        if config.track:
            TRACKERS.get(config.track).check(config.track)
        request = budget_of(config)
        if request.kind == "latency" and not request.relative:
            raise UsageError(f"{request} with `steps={config.steps}`: type a share of the latency, such as 0.6")
        return
    config.refuse(BETWEEN, "one step has no training; type `steps=3` with it, or train `refine` after it")


@dataclass(frozen=True, kw_only=True)
class Course:
    """How the rounds get to the budget.

    Attributes:
        request: what the last round is to leave.
        steps: number of rounds.
        start: share of the unpruned network's cost that is there before the first round.
        goal: share of it that the last round is to leave.
        per_layer: whether percentages are of each layer.
    """

    request: Request
    steps: int
    start: float
    goal: float
    per_layer: bool

    def budget(self, number: int, plans: Sequence[PrunePlan]) -> dict[str, Any]:
        """What `netslim prune` is given in this round (from 1), after rounds with these plans."""
        kind = self.request.kind
        if kind == "percent":
            return {"percent": self._percent(number, plans)}
        if number == self.steps:
            return {f"target_{kind}": self.request.asked}
        share = self.start * math.pow(self.goal / self.start, number / self.steps)
        return {f"target_{kind}": min(float(f"{share:.4g}"), 0.9999)}  # digits that one reads; no round asks for all

    def _percent(self, number: int, plans: Sequence[PrunePlan]) -> float:
        """The share of what is left; such that after the last round as many are gone as after a single one."""
        same = 1 - math.pow(1 - self.request.value, 1 / self.steps)
        if self.per_layer or not plans or not (first := plans[0].budget) or not (last := plans[-1].budget):
            return same
        final = max(1.0, final_channels(first.dense, self.request.value))
        goal = round(first.dense * math.pow(final / first.dense, number / self.steps))
        return percent_to_leave(goal, last.reached)


def last_round(config: PruneConfig, directory: RunDirectory, prune: Prune) -> tuple[PruneConfig, PrunePlan]:
    """Works all rounds but the last one off, in sub-folders of `config.save`.

    Args:
        config: of all rounds.
        directory: their run, which begins here.
        prune: prunes once, as the stage's `run` does.

    Returns:
        The configuration of the last round's pruning, and the plan of the first one.

    Raises:
        UsageError: there is no data set to train on, or a budget can't be met.
        InterruptedRunError: Ctrl-C or SIGTERM in the training; the same command goes on.
    """
    checkpoint = read(config.model)
    name = config.dataset or dataset_name(checkpoint)
    if name is None:
        raise UsageError(f"`steps={config.steps}` trains, and {config.model} names no data set: type `dataset=NAME`")
    _check_named(config, checkpoint, name)
    course, model, trained_by = _course(config, checkpoint, name), config.model, _optimizer(config, checkpoint)
    plans: list[PrunePlan] = []
    directory.begin()
    say(f"trained between rounds with {trained_by['optimizer']}, lr {trained_by['lr']:g}")
    for number in range(1, config.steps):
        folder = config.save / f"round{number}"
        say(f"round {number} of {config.steps}: {folder}")
        found = prune(_before_training(_pruning(config, model, folder / "pruned", course.budget(number, plans))))
        plans.append(read_plan(folder / "pruned" / PLAN))
        try:
            model = _train(_training(config, name, checkpoint, Path(found["file"]), folder / "trained"))
        except InterruptedRunError:
            write_beside(config.save)
            raise
    say(f"round {config.steps} of {config.steps}: {config.save}")
    return _pruning(config, model, config.save, course.budget(config.steps, plans)), plans[0]


def as_asked(decided: PrunePlan, config: PruneConfig, first: PrunePlan) -> PrunePlan:
    """The last round's plan with what was asked of all rounds together, which the first round's plan is of."""
    request = budget_of(config)
    if request.kind != "percent" or first.budget is None or decided.budget is None:
        return decided
    return of_all_rounds(decided, request.value, first.budget.dense)


def _course(config: PruneConfig, checkpoint: Checkpoint, dataset: str) -> Course:
    request = budget_of(config)
    start, goal = 1.0, request.value
    done = plan_from_dict(checkpoint.plan) if checkpoint.plan else None
    if request.kind == "percent" and shrank(done):
        raise UsageError(
            f"{config.model} got smaller in its training, and {request} in `steps={config.steps}` would be of what is "
            f"left: type `target_macs`, which is of the whole"
        )
    if request.kind in ("params", "macs"):
        now = _cost(config, checkpoint, dataset) if done is None else done.after
        dense = now if done is None else done.before
        start = getattr(now, request.kind) / getattr(dense, request.kind)
        goal = request.value if request.relative else request.value / getattr(dense, request.kind)
    return Course(request=request, steps=config.steps, start=start, goal=goal, per_layer=config.per_layer)


def _cost(config: PruneConfig, checkpoint: Checkpoint, dataset: str) -> Cost:
    model = sound_network(checkpoint, config.model, config.arch, config.arch_args)
    facts = known_facts(checkpoint, open_any(dataset, config), config)
    return measure(model, example_input(model, facts, batch=1))


def _pruning(config: PruneConfig, model: Path, save: Path, budget: Mapping[str, Any]) -> PruneConfig:
    """One round's pruning: as all of them together, but for its budget and files."""
    given = config.model_dump(exclude={*BUDGETS, *BETWEEN, "steps"})
    return PruneConfig.build({**given, "model": model, "save": save, **budget})


def _before_training(config: PruneConfig) -> PruneConfig:
    """What a training follows is not fitted, unless that was asked for: the training would do the same."""
    return config if config.reconstruct is not None else PruneConfig.build({**config.model_dump(), "reconstruct": 0})


def _train(config: TrainConfig) -> Path:
    """Trains. Returns the file with the last state. What a pruning alone has no use for is imported here."""
    from netslim.stages.train.run import run

    run(config)
    return config.save / CHECKPOINT


def _check_named(config: PruneConfig, checkpoint: Checkpoint, dataset: str) -> None:
    """Raises UsageError for code of the user's own that the file alone names: no file makes code run."""
    task = checkpoint.task
    found = {"dataset": dataset, "loss": task.loss if task else "", "metric": task.metric if task else ""}
    found["optimizer"] = str(checkpoint.training.get("optimizer", ""))
    for name, value in found.items():
        if is_reference(value) and getattr(config, name) is None:
            raise UsageError(f"{config.model} was trained with {name} {value}: type {setting(name, value)}")


def _task_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Loss and metric that the file's network was trained by."""
    return checkpoint.task.model_dump(exclude={"best"}, exclude_none=True) if checkpoint.task else {}


def _optimizer(config: PruneConfig, checkpoint: Checkpoint) -> dict[str, Any]:
    """What trains between the rounds, and its rate: what trained the file, so that its state goes on, too.

    Raises:
        UsageError: an unknown optimizer.
    """
    optimizer = config.optimizer or str(checkpoint.training.get("optimizer", "sgd"))
    if is_reference(optimizer):
        load_reference("optimizer", optimizer)
    else:
        OPTIMIZERS.get(optimizer)
    return {"optimizer": optimizer, "lr": config.lr or (SGDS_RATE if optimizer == "sgd" else ADAPTIVE_RATE)}


def _training(config: PruneConfig, dataset: str, checkpoint: Checkpoint, file: Path, save: Path) -> TrainConfig:
    facts = checkpoint.dataset or {}
    size = config.image_size or (facts["image_size"][0] if facts.get("resized") else None)
    same = {*BETWEEN, *TaskConfig.model_fields, "seed", "test_batch_size"}
    given = {**_task_of(checkpoint), **config.model_dump(include=same, exclude_none=True)}
    given |= _optimizer(config, checkpoint)
    return TrainConfig.build({**given, "dataset": dataset, "image_size": size, "refine": file, "save": save})
