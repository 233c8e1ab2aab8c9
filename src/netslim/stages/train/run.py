"""`netslim train`: one phase of training, from scratch, from a file's weights, or of a pruned network."""

import dataclasses
import functools
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError, InterruptedRunError, LostProcessError
from netslim.core.networks.trees import Batch
from netslim.core.plugins.references import is_reference
from netslim.core.processes.allocator import keep_freed_memory
from netslim.core.processes.distributed import ALONE, World, join
from netslim.core.runlog import RunStatus
from netslim.core.runs.file_names import BEST, CHECKPOINT, PAGE
from netslim.data import AnySplit, evaluation_batches, train_batches
from netslim.network import describe
from netslim.report.console import say
from netslim.report.progress import TrainingProgress
from netslim.stages.shared.datasets import dataset_facts, open_any
from netslim.stages.shared.devices import pick_device
from netslim.stages.shared.example_input import example_of
from netslim.stages.shared.networks import name_of, open_network
from netslim.stages.shared.tasks import task_facts, task_of
from netslim.stages.train.broken_images import check_number
from netslim.stages.train.checks import check
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.end_warnings import warn_of_training
from netslim.stages.train.facts import ANEW, check_state, precision_of, recorded, state_of, training_facts
from netslim.stages.train.files import TrainFiles
from netslim.stages.train.initial_model import Start, start_model, take_up_momentum_
from netslim.stages.train.messages import BY_OBJECTIVE, arguments, built, judged, processes, summary
from netslim.stages.train.optimizer_setup import is_own
from netslim.stages.train.rehearsal import rehearse_phase
from netslim.stages.train.shrinking import Shrinking, check_alone
from netslim.stages.train.splits import can_be_late, splits_of
from netslim.stages.train.step_setup import build_step, check_world, graphs_for, open_teacher, recorder_for
from netslim.training.evaluate import Evaluation
from netslim.training.lone_images import least_share
from netslim.training.loop import StopRequested, Training, TrainState
from netslim.training.optimizers.state import restored_, saved
from netslim.training.precision import Precision
from netslim.training.precision_probe import choose_precision
from netslim.training.signals import Interrupt
from netslim.training.step import TrainStep
from netslim.training.tasks.task import Found


def run(config: TrainConfig) -> dict[str, Any]:
    """Trains, or goes on where the same command was cut off, or says that it is done. Returns what `run.json` records.

    Raises:
        UsageError: settings that contradict each other, a busy directory, another run in it.
        CheckpointError: a start file that is missing, damaged or of another network.
        DataError: the data set.
        DivergedError: NaN or infinite loss.
        InterruptedRunError: Ctrl-C or SIGTERM; the state was saved.
        LostProcessError: several processes trained, and one of them is gone.
    """
    check(config)
    device = pick_device(config.device)
    keep_freed_memory()
    try:
        with join(device, config.patience) as world, TrainFiles(config, world) as files:
            if files.status is RunStatus.FINISHED:
                say(f"{config.save} is finished ({summary(files.result)}); nothing to do")
                return files.result
            return Phase(config, files, world, device).run()
    except LostProcessError as error:
        raise LostProcessError(
            f"{error}; type the same command again to go on from the last state in {config.save}, or let "
            f"torchrun --max-restarts 3 do it"
        ) from error


class Phase:
    """One run of the training stage in its directory.

    Args:
        config: checked settings.
        files: the run's folder, new or cut off.
        world: the processes that train.
        device: this process's.
    """

    def __init__(self, config: TrainConfig, files: TrainFiles, world: World, device: torch.device) -> None:
        self.config = config
        self.files = files
        self.world = world
        self.device = device
        check_world(config, world)
        check_alone(config, world)
        start = Start.of(config)
        self.dataset = world.one_after_the_first(lambda: open_any(config.dataset, config, start.normalization))
        self.splits = splits_of(self.dataset, config, device)
        self.facts = dataset_facts(self.dataset, config)
        self.teacher = open_teacher(config, self.dataset, self.device)
        previous = files.previous()
        model = self._opened(previous, CHECKPOINT) if previous else start_model(config, self.dataset, start)
        self.model = model.to(self.device)
        self.task = task_of(config, self.dataset, label_smoothing=config.label_smoothing, device=device)
        self.world = world = dataclasses.replace(world, least=self._least())
        self.batches = train_batches(
            self.splits.train,
            self.dataset,
            batch_size=config.batch_size,
            seed=config.seed,
            device=self.device,
            share=functools.partial(world.share, parts=config.accumulate),
            least=world.least * world.size,
        )
        if is_own(config):
            rehearse_phase(config, self.model, self.task, self.dataset, self._first_batch(), self.splits)
        self.shrinking = Shrinking(self.model, example_of(self.dataset), files) if config.prune_zeros else None
        self.precision = self._precision()
        self.graphs = graphs_for(config, self.precision, device, world)
        self.step = self._step()
        self.state = TrainState(epoch=config.start_epoch)
        if previous:
            self._restore_state(previous)
        else:
            start.say_what_changes(config, self.dataset)
            take_up_momentum_(config, start, self.model, self.step.optimizer)

    @property
    def chosen_by(self) -> str:
        """What makes an epoch the best. The scripts, which choose on the test set, keep the original's rule."""
        sparse = self.config.sparsity_regularization and self.config.select_on == "val"
        return BY_OBJECTIVE if sparse else self.task.label

    def run(self) -> dict[str, Any]:
        """Trains to the end and records the result."""
        self.files.begin(self.state.epoch)
        config = self.config
        say(
            f"training {name_of(self.model)} {arguments(self.model)} on {self.dataset.name}: "
            f"{len(self.splits.train):,} images, {config.select_on} set of {len(self.splits.select):,} chooses the "
            f"model; {self.precision} on {self.device}{', steps recorded' if self.graphs else ''}"
            f"{processes(config, self.world)}"
        )
        with ExitStack() as stack:
            interrupt = stack.enter_context(Interrupt())
            reporter = stack.enter_context(
                TrainingProgress(
                    epochs=config.epochs,
                    log_interval=config.log_interval,
                    selected_on=config.select_on,
                    sparse=config.sparsity_regularization,
                    label=self.task.label,
                    shown=self.task.shown,
                    workers=is_reference(config.dataset),
                    waits=can_be_late(self.splits.train, self.device),
                )
            )
            try:
                self._training(interrupt, reporter).run()
            except StopRequested:
                self.files.stopped()
                raise InterruptedRunError(
                    f"stopped in epoch {self.state.epoch + 1} after batch {self.state.batch}; the state is in "
                    f"{config.save / CHECKPOINT}: type the same command again to go on",
                    self.world.largest(interrupt.signal or 0),
                ) from None
        return self._finish()

    def _training(self, interrupt: Interrupt, reporter: TrainingProgress) -> Training:
        config = self.config
        training = Training(
            step=self.step,
            batches=self.batches,
            evaluate=lambda: self._evaluate(self.splits.select, training),
            epochs=config.epochs,
            lr=config.lr,
            schedule=config.schedule,
            seed=config.seed,
            by_objective=self.chosen_by == BY_OBJECTIVE,
            ties_by_objective=config.select_on != "test",  # there the first, as the original has it
            stop=lambda: self.world.largest(interrupt.signal or 0) > 0,  # all stop after the same batch
            save=self._save,
            shrink=lambda: self._shrink(training),
            reporter=reporter,
            task=self.task,
            state=self.state,
        )
        return training

    def _evaluate(self, split: AnySplit, training: Training | None = None) -> Evaluation | Found:
        world = ALONE if self.task.sees_everything else self.world
        self.world.copy_first_(self.model.buffers())
        size, share = self.config.test_batch_size, world.share
        batches = evaluation_batches(split, self.dataset, batch_size=size, device=self.device, share=share)
        between, graphs = (training.check_stop, self.graphs) if training else (None, None)
        found = self.task.evaluate(self.model, batches, between=between, world=world, graphs=graphs)
        check_number(found.loss, split, self.dataset, self.config, at_end=training is None)
        return found

    def _finish(self) -> dict[str, Any]:
        self.model = self._opened(self.files.best(), BEST).to(self.device)
        test = self.state.best if self.config.select_on == "test" else self._evaluate(self.splits.test).value
        result = {
            "file": str(self.config.save / BEST),
            "selected_on": self.config.select_on,
            "chosen_by": self.chosen_by,
            **judged(self.task, self.state.best, self.state.best_epoch, test),
            "test_images": len(self.splits.test),
            "epochs": self.state.epoch,
            **built(self.model, example_of(self.dataset).to(self.device)),
            "precision": str(self.precision),
            "seconds": self.files.seconds(),
        }
        steps = self.config.epochs * len(self.batches)
        warn_of_training(self.config, self.model, self.task, self.state.best, self.dataset.num_classes, steps)
        self.files.finish(result)
        say(f"finished: {summary(result)}; {self.config.save / BEST}, {self.config.save / PAGE}")
        return result

    def _least(self) -> int:
        """Images that every process needs of every part of a batch."""
        sizes = self.config.batch_size, len(self.splits.train)
        return least_share(self.model, example_of(self.dataset), self.world, sizes, self.config.accumulate)

    def _opened(self, checkpoint: Checkpoint, name: str) -> nn.Module:
        return open_network(checkpoint, self.config.save / name, self.config.arch, self.config.arch_args)

    def _precision(self) -> Precision:
        """Chosen once per run: a continued run must not choose another one."""

        def choose() -> tuple[str, bool]:
            found = choose_precision(
                self.config.precision,
                self.model,
                *self._first_batch(),
                recorder_for(self.config, self.device, self.world),
                objective=self.task.objective,
                any_layout=not is_reference(name_of(self.model)),
            )
            return found.name, found.channels_last

        recorded = self.files.remember("precision", choose, default=("fp32", False))
        return precision_of(recorded, self.config.save)

    def _step(self) -> TrainStep:
        """The step of the network as it is now."""
        self.precision.arrange_(self.model)
        given = self.config, self.model, self.precision, self.dataset, self.teacher
        first, task = self._first_batch, self.task
        step = build_step(*given, objective=task.objective, world=self.world, graphs=self.graphs, first_batch=first)
        if self.shrinking is not None:
            step.penalty.gone = self.shrinking.gone(self.model)
        return step

    def _shrink(self, training: Training) -> dict[str, Any]:
        """Goes on with the network without what came to zero, put together as the same run does from its file."""
        if self.shrinking is None:
            return {}
        left = self.shrinking.cut(self.model, self.step.optimizer)
        if left is not None and left.optimizer is not None:
            scaler = self.step.scaler.state_dict()
            self.model = self._opened(left, CHECKPOINT).to(self.device)
            self.graphs = self.graphs and graphs_for(self.config, self.precision, self.device, self.world)
            self.step = training.step = self._step()
            self._take_up_(left.optimizer, scaler)
        return self.shrinking.columns

    def _first_batch(self) -> tuple[Batch, Any]:
        return next(iter(self.batches.epoch(0)))

    def _save(self, state: TrainState, row: dict[str, Any] | None, best: bool) -> None:
        self.files.save(functools.partial(self._checkpoint, state), row, best)

    def _checkpoint(self, state: TrainState, momentum: bool) -> Checkpoint:
        checkpoint = describe(self.model)
        checkpoint.epoch = state.epoch
        checkpoint.best_prec1 = state.best if self.task.is_top1 else 0.0
        checkpoint.task = task_facts(self.task, state.best)
        checkpoint.dataset = self.facts
        more = {"chosen_by": self.chosen_by, "precision": str(self.precision), "scaler": self.step.scaler.state_dict()}
        checkpoint.training = recorded(state, self.config, **more)
        checkpoint.optimizer = saved(self.step.optimizer, self.model, momentum=momentum)
        return checkpoint

    def _restore_state(self, checkpoint: Checkpoint) -> None:
        path = self.config.save / CHECKPOINT
        if checkpoint.optimizer is None:
            raise CheckpointError(f"{path} has no optimizer state; give another `save`")
        facts = training_facts(checkpoint, path)
        try:
            self._take_up_(checkpoint.optimizer, facts.scaler)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}; {ANEW}") from error
        self.state = state_of(checkpoint, facts)
        check_state(self.state, path, self.config, self.batches, self.task)
        say(f"going on with {path}: epoch {self.state.epoch + 1}, batch {self.state.batch + 1}")

    def _take_up_(self, optimizer: dict[str, Any], scaler: dict[str, Any]) -> None:
        restored_(self.step.optimizer, self.model, optimizer)
        self.step.scaler.load_state_dict(scaler)
