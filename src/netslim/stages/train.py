"""`netslim train`: one phase of training, from scratch, from a file's weights, or of a pruned network."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from netslim.core.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from netslim.core.errors import CheckpointError, InterruptedRunError, UsageError
from netslim.core.protocols import PrunableModel
from netslim.core.runlog import RunDirectory, RunStatus
from netslim.cost import measure
from netslim.data import ImageDataset, Split, TrainBatches, evaluation_batches, split_validation
from netslim.network import describe, restore
from netslim.report.console import say
from netslim.report.progress import TrainingProgress
from netslim.report.tables import percent, size
from netslim.stages.configs import TrainConfig
from netslim.stages.inputs import dataset_facts, open_dataset, pick_device
from netslim.stages.start import fresh_model, start_model
from netslim.training.evaluate import Evaluation, evaluate
from netslim.training.interrupt import Interrupt
from netslim.training.loop import StopRequested, Training, TrainState
from netslim.training.optimizer import build_sgd, export_state, import_state
from netslim.training.precision import Precision, choose_precision
from netslim.training.schedule import rate_factor
from netslim.training.sparsity import ScalePenalty
from netslim.training.step import TrainStep

CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"
BY_ACCURACY, BY_OBJECTIVE = "top-1", "loss + penalty"


def run(config: TrainConfig) -> dict[str, Any]:
    """Trains, or goes on where the same command was cut off, or says that it is done. Returns what `run.json` records.

    Raises:
        UsageError: settings that contradict each other, a busy directory, another run in it.
        CheckpointError: a start file that is missing, damaged or of another network.
        DataError: the data set.
        DivergedError: NaN or infinite loss.
        InterruptedRunError: Ctrl-C or SIGTERM; the state was saved.
    """
    check(config)
    parents = {name: path for name in ("resume", "refine") if (path := getattr(config, name)) is not None}
    with RunDirectory(config.save, "train", config, parents=parents, writes=(CHECKPOINT, BEST)) as directory:
        if directory.status is RunStatus.FINISHED:
            say(f"{config.save} is finished ({_summary(directory.result)}); nothing to do")
            return directory.result
        return Phase(config, directory).run()


def check(config: TrainConfig) -> None:
    """Raises UsageError for settings that contradict each other, before anything is opened."""
    if config.resume and config.refine:
        raise UsageError(
            "--resume and --refine can't go together: --refine for a pruned network, --resume for any other"
        )
    if config.select_on not in ("val", "test"):
        raise UsageError(f"--select-on {config.select_on}: type val (held out of the training set) or test")
    if config.start_epoch >= config.epochs:
        raise UsageError(f"--start-epoch {config.start_epoch} leaves no epoch of --epochs {config.epochs}")
    if config.nesterov and not config.momentum:
        raise UsageError("--nesterov needs momentum: type --momentum 0.9, or leave --nesterov out")
    rate_factor(config.schedule, 0, 1, 0.0)
    if not (config.resume or config.refine):
        with torch.device("meta"):  # takes no memory; a wrong depth must not be found after a download
            fresh_model(config.arch, config.depth, config.stem)


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """What is trained on, what chooses the model, and what is only looked at once at the end."""

    train: Split
    select: Split
    test: Split


class Phase:
    """One run of the training stage in its directory.

    Args:
        config: checked settings.
        directory: the run's directory, new or cut off.
    """

    def __init__(self, config: TrainConfig, directory: RunDirectory) -> None:
        self.config = config
        self.directory = directory
        self.device = pick_device(config.device)
        self.dataset = open_dataset(config.dataset, config)
        self.splits = _splits(self.dataset, config)
        self.facts = dataset_facts(self.dataset, config)
        previous = self._previous()
        model = restore(previous, config.save / CHECKPOINT) if previous else start_model(config, self.dataset)
        self.model = model.to(self.device)
        self.batches = TrainBatches(
            self.splits.train, self.dataset, batch_size=config.batch_size, seed=config.seed, device=self.device
        )
        self.precision = self._precision()
        self.precision.arrange_(self.model)
        self.step = self._step()
        self.state = TrainState(epoch=config.start_epoch)
        if previous:
            self._restore_state(previous)

    @property
    def chosen_by(self) -> str:
        """What makes an epoch the best. The scripts, which choose on the test set, keep the original's rule."""
        sparse = self.config.sparsity_regularization and self.config.select_on == "val"
        return BY_OBJECTIVE if sparse else BY_ACCURACY

    def run(self) -> dict[str, Any]:
        """Trains to the end and records the result."""
        self.directory.rewind(self.state.epoch)
        self.directory.begin()
        config = self.config
        say(
            f"training {self.model.arch.name} {_arguments(self.model)} on {self.dataset.name}: "
            f"{len(self.splits.train):,} images, {config.select_on} set of {len(self.splits.select):,} chooses the "
            f"model; {self.precision} on {self.device}"
        )
        with ExitStack() as stack:
            interrupt = stack.enter_context(Interrupt())
            reporter = stack.enter_context(
                TrainingProgress(
                    epochs=config.epochs,
                    log_interval=config.log_interval,
                    selected_on=config.select_on,
                    sparse=config.sparsity_regularization,
                )
            )
            training = self._training(interrupt, reporter)
            try:
                training.run()
            except StopRequested:
                raise InterruptedRunError(
                    f"stopped in epoch {self.state.epoch + 1} after batch {self.state.batch}; the state is in "
                    f"{config.save / CHECKPOINT}: type the same command again to go on",
                    interrupt.signal or 0,
                ) from None
        return self._finish()

    def _step(self) -> TrainStep:
        config = self.config
        optimizer = build_sgd(
            self.model,
            lr=config.lr,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            nesterov=config.nesterov,
        )
        return TrainStep(
            self.model,
            optimizer,
            precision=self.precision,
            penalty=ScalePenalty(self.model, config.s if config.sparsity_regularization else 0.0),
            label_smoothing=config.label_smoothing,
            clip_grad_norm=config.clip_grad_norm,
            accumulate=config.accumulate,
        )

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
            stop=lambda: interrupt.signal is not None,
            save=self._save,
            reporter=reporter,
            state=self.state,
        )
        return training

    def _evaluate(self, split: Split, training: Training | None = None) -> Evaluation:
        batches = evaluation_batches(split, self.dataset, batch_size=self.config.test_batch_size, device=self.device)
        return evaluate(self.model, batches, between=training.check_stop if training else None)

    def _finish(self) -> dict[str, Any]:
        best = read_checkpoint(self.config.save / BEST)
        self.model = restore(best, self.config.save / BEST).to(self.device)
        on_test = self.config.select_on == "test"
        test_top1 = self.state.best if on_test else self._evaluate(self.splits.test).top1
        cost = measure(self.model, torch.zeros(1, *self.splits.test.images.shape[1:], device=self.device))
        result = {
            "file": str(self.config.save / BEST),
            "selected_on": self.config.select_on,
            "chosen_by": self.chosen_by,
            "best_top1": self.state.best,
            "best_epoch": self.state.best_epoch,
            "test_top1": test_top1,
            "epochs": self.state.epoch,
            "params": cost.params,
            "macs": cost.macs,
            "precision": str(self.precision),
            "seconds": sum(row["seconds"] for row in self.directory.metrics()),
        }
        self.directory.finish(result)
        say(f"finished: {_summary(result)}; {self.config.save / BEST}")
        return result

    def _previous(self) -> Checkpoint | None:
        """The checkpoint to go on from, if this run was cut off after it wrote one."""
        path = self.config.save / CHECKPOINT
        if self.directory.status is not RunStatus.RUNNING or not path.exists():
            return None
        checkpoint = read_checkpoint(path)
        if checkpoint.provenance.get("run_id") != self.directory.run_id:
            raise CheckpointError(f"{path} was not written by the run in this folder; give another --save")
        return checkpoint

    def _precision(self) -> Precision:
        """Chosen once per run: a continued run must not choose another one."""
        images, labels = next(iter(self.batches.epoch(0)))
        if self.directory.status is RunStatus.RUNNING:
            chosen = self.directory.remember("precision", ["fp32", False])
        else:
            found = choose_precision(self.config.precision, self.model, images, labels)
            chosen = self.directory.remember("precision", [found.name, found.channels_last])
        return Precision(str(chosen[0]), bool(chosen[1]))

    def _save(self, state: TrainState, row: dict[str, Any] | None, best: bool) -> None:
        """Metrics, best model, checkpoint, in this order: cut off in between, the epoch runs again to the same end."""
        if row is not None:
            self.directory.log({**row, "selected_on": self.config.select_on})
        checkpoint = describe(self.model)
        checkpoint.epoch = state.epoch
        checkpoint.best_prec1 = state.best
        checkpoint.dataset = self.facts
        checkpoint.provenance = self.directory.provenance(self.config)
        checkpoint.training = {
            "selected_on": self.config.select_on,
            "chosen_by": self.chosen_by,
            "precision": str(self.precision),
            "best_epoch": state.best_epoch,
            "objective": state.objective,
            "batch": state.batch,
            "loss_sum": state.loss_sum,
            "correct": state.correct,
            "images": state.images,
            "rng": state.rng,
            "scaler": self.step.scaler.state_dict(),
        }
        if best:
            checkpoint.optimizer = export_state(self.step.optimizer, self.model, momentum=False)
            write_checkpoint(self.config.save / BEST, checkpoint)
        checkpoint.optimizer = export_state(self.step.optimizer, self.model)
        write_checkpoint(self.config.save / CHECKPOINT, checkpoint)

    def _restore_state(self, checkpoint: Checkpoint) -> None:
        path, saved = self.config.save / CHECKPOINT, checkpoint.training
        if checkpoint.optimizer is None:
            raise CheckpointError(f"{path} has no optimizer state; give another --save")
        import_state(self.step.optimizer, self.model, checkpoint.optimizer)
        self.step.scaler.load_state_dict(saved["scaler"])
        rng: Tensor | None = saved["rng"]
        self.state = TrainState(
            epoch=checkpoint.epoch,
            batch=saved["batch"],
            loss_sum=saved["loss_sum"],
            correct=saved["correct"],
            images=saved["images"],
            best=checkpoint.best_prec1,
            best_epoch=saved["best_epoch"],
            objective=saved["objective"],
            rng=rng,
        )
        say(f"going on with {path}: epoch {self.state.epoch + 1}, batch {self.state.batch + 1}")


def _splits(dataset: ImageDataset, config: TrainConfig) -> Splits:
    if config.select_on == "test":
        return Splits(train=dataset.train, select=dataset.test, test=dataset.test)
    train, val = split_validation(dataset.train, config.val_share, config.seed)
    return Splits(train=train, select=val, test=dataset.test)


def _arguments(model: PrunableModel) -> str:
    cost = f"{size(sum(p.numel() for p in model.parameters()))} parameters"
    depth = model.arch.arguments.get("depth")
    return f"({f'depth {depth}, ' if depth is not None else ''}{cost}{', pruned' if model.plan else ''})"


def _summary(result: dict[str, Any]) -> str:
    text = f"best {result['selected_on']} top-1 {percent(result['best_top1'])} in epoch {result['best_epoch']}"
    if result["chosen_by"] == BY_OBJECTIVE:
        text = text.removeprefix("best ") + f" (lowest {BY_OBJECTIVE})"
    if result["selected_on"] == "test":
        return text + ", chosen on the test set"
    return f"{text}, test top-1 {percent(result['test_top1'])}"
