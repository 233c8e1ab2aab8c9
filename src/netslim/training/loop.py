"""The training loop. Everything that a resumed run needs is in `TrainState`; the rest follows from seed and epoch."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from netslim.core.errors import DivergedError
from netslim.core.networks.trees import Batch
from netslim.core.runs.seeding import seed_torch
from netslim.training.evaluate import Evaluation
from netslim.training.penalties.spread import spread
from netslim.training.penalties.strength import Progress
from netslim.training.schedule import rate_factor
from netslim.training.step import TrainStep
from netslim.training.tasks.task import CLASSIFICATION, Found, Task

CHECK_EVERY = 50  # steps between looks at the loss where a look makes the device wait


class Batches(Protocol):
    """Batches of a split, the same for the same seed and epoch."""

    def __len__(self) -> int:
        """Batches per epoch."""
        ...

    def count(self, number: int) -> int:
        """Images of batch `number` of an epoch, those of other processes included."""
        ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Batch, Any]]:
        """The epoch's batches from number `start` on: this process's part of them."""
        ...


class Reporter(Protocol):
    """Who shows how the training goes."""

    def batch(self, epoch: int, done: int, total: int, numbers: dict[str, float]) -> None:
        """After a batch: `loss`, `top1` if it is the metric (running means), `images_per_second`, `seconds_left`."""
        ...

    def epoch(self, row: dict[str, Any]) -> None:
        """After an epoch, with its row of metrics."""
        ...


@dataclass
class TrainState:
    """Where a training stands.

    Attributes:
        epoch: finished epochs.
        batch: finished batches of the current epoch.
        loss_sum, correct, images: running sums of the current epoch.
        best: metric of the chosen epoch, `best_epoch` (counted from 1), and `objective` its loss plus penalty.
        rng: torch's generator state in the middle of an epoch, or None at its start.
    """

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    images: int = 0
    best: float = 0.0
    best_epoch: int = 0
    objective: float = math.inf
    rng: Tensor | None = None


@dataclass(kw_only=True)
class Training:
    """A training that can be stopped after any batch and continued to the same bits.

    Attributes:
        step: takes one step on a batch.
        batches: the training split.
        evaluate: loss and metric on the split that chooses the model.
        epochs: number of epochs in all.
        lr: base learning rate.
        schedule: name of the schedule.
        seed: everything random is keyed on it.
        by_objective: choose the epoch with the lowest loss plus penalty (at full strength) instead of best metric:
            under a penalty the most accurate epoch is often the first one, in which nothing is sparse yet.
        ties_by_objective: of epochs with equal metrics choose the one with the lowest loss plus penalty, not the first:
            on few images most are equal.
        stop: asked after every batch; True ends the training after its state was saved.
        save: called with the state; `best` says whether the model is the best so far.
        shrink: called after each epoch was judged, before it is saved: it may put another `step` here, of a network
            that computes the same, and returns further columns for the epoch's row.
        reporter: shows progress.
        task: says which metric is better.
        state: where the training stands.
    """

    step: TrainStep
    batches: Batches
    evaluate: Callable[[], Evaluation | Found]
    epochs: int
    lr: float
    schedule: str
    seed: int
    by_objective: bool
    ties_by_objective: bool = True
    stop: Callable[[], bool]
    save: Callable[[TrainState, dict[str, Any] | None, bool], None]
    reporter: Reporter
    task: Task = CLASSIFICATION
    shrink: Callable[[], dict[str, Any]] = dict
    state: TrainState = field(default_factory=TrainState)
    _pending: list[tuple[Tensor, Tensor, int]] = field(default_factory=list, init=False)
    _waited: float = field(default=0.0, init=False)  # seconds of the current epoch

    def run(self) -> None:
        """Trains to the last epoch.

        Raises:
            DivergedError: the loss is NaN or infinite; the last good checkpoint stays.
            StopRequested: `stop` answered True; the state was saved.
        """
        while self.state.epoch < self.epochs:
            start, before = time.perf_counter(), self.state.images
            self._epoch()
            trained = max(time.perf_counter() - start, 1e-9)
            found = self.evaluate()
            self._check_finite(found.loss)
            pace = {"images_per_second": (self.state.images - before) / trained, "waiting": self._waited / trained}
            self._finish_epoch(found, time.perf_counter() - start, pace)

    def _epoch(self) -> None:
        state, total = self.state, len(self.batches)
        if state.rng is not None and self.step.replica.world.size == 1:
            torch.set_rng_state(state.rng)
        else:
            seed_torch(self.seed, "epoch", state.epoch)
        self.step.model.train()
        self._set_rates(max(0, state.batch - 1) / total)  # for the row, where no batch is left
        clock, done = time.perf_counter(), 0
        for images, labels in self._timed(self.batches.epoch(state.epoch, state.batch)):
            self._set_rates(state.batch / total)
            count = self.batches.count(state.batch)
            self._seed_batch()
            result = self.step(images, labels, count)
            state.batch += 1
            done += count
            self._pending.append((result.loss, result.correct, count))
            waits = images.device.type != "cpu" and state.images and state.batch < total
            if not waits or len(self._pending) >= CHECK_EVERY:
                self._settle()
            self._show(done / max(time.perf_counter() - clock, 1e-9), count)
            self.check_stop()

    def _timed(self, batches: Iterator[tuple[Batch, Any]]) -> Iterator[tuple[Batch, Any]]:
        """The batches, with a clock on how long the step has to wait for each (on a GPU: how long the host takes)."""
        self._waited = 0.0
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            self._waited += time.perf_counter() - start
            if batch is None:
                return
            yield batch

    def _set_rates(self, within: float) -> None:
        """Learning rate and strength of the penalty: they depend on where the training stands and on nothing else."""
        epoch = self.state.epoch
        rate = rate_factor(self.schedule, epoch, self.epochs, within)
        for group in self.step.optimizer.param_groups:
            group["lr"] = group.get("initial_lr", self.lr) * rate
        self.step.penalty.advance(Progress(done=epoch + within, epochs=self.epochs, rate=rate))

    def _seed_batch(self) -> None:
        """Of several processes each draws its own numbers (dropout), the same ones after a resumption."""
        world = self.step.replica.world
        if world.size > 1:
            seed_torch(self.seed, "batch", self.state.epoch, self.state.batch, world.rank)

    def check_stop(self) -> None:
        """Saves the state and raises StopRequested if a stop was asked for."""
        if self.stop():
            self._settle()
            self.state.rng = torch.get_rng_state()
            self.save(self.state, None, False)
            raise StopRequested

    def _settle(self) -> None:
        """Adds device-side sums to the state and looks at the loss."""
        if not self._pending:
            return
        losses, corrects, counts = zip(*self._pending, strict=True)
        found = float(torch.stack(losses).sum()), float(torch.stack(corrects).sum())
        loss, correct = self.step.replica.world.sum(*found)
        self._check_finite(loss)
        self.state.loss_sum += loss
        self.state.correct += int(correct)
        self.state.images += sum(counts)
        self._pending.clear()

    def _show(self, speed: float, batch_size: int) -> None:
        state, total = self.state, len(self.batches)
        left = (total - state.batch + total * (self.epochs - state.epoch - 1)) * batch_size
        numbers = {
            "loss": state.loss_sum / state.images,
            **({"top1": state.correct / state.images} if self.task.is_top1 else {}),
            "images_per_second": speed,
            "seconds_left": left / speed,
        }
        self.reporter.batch(state.epoch + 1, state.batch, total, numbers)

    def _finish_epoch(self, found: Evaluation | Found, seconds: float, pace: dict[str, float]) -> None:
        state = self.state
        penalty = self.step.penalty.value()
        objective = found.loss + penalty
        better = self.task.better(found.value, state.best) and not self.by_objective
        lower = objective < state.objective and (
            self.by_objective or (self.ties_by_objective and found.value == state.best)
        )
        best = better or lower or not state.best_epoch
        if best:
            state.best, state.best_epoch, state.objective = found.value, state.epoch + 1, objective
        row = {
            "epoch": state.epoch,
            "lr": self.step.optimizer.param_groups[0]["lr"],
            "loss": state.loss_sum / state.images,
            "penalty": penalty,
            "penalty_strength": self.step.penalty.strength * self.step.penalty.factor,
            "near_zero_scales": self.step.penalty.near_zero(),
            "zero_scales": self.step.penalty.zeros(),
            **spread(self.step.penalty.scales, self.step.penalty.gone),
            **self._judged(found),
            **pace,
            **self.shrink(),
            "seconds": seconds,
        }
        state.epoch += 1
        state.batch = state.images = state.correct = 0
        state.loss_sum, state.rng = 0.0, None
        self.save(state, row, best)
        self.reporter.epoch(row)

    def _judged(self, found: Evaluation | Found) -> dict[str, Any]:
        """The columns of loss and metric on the split that chooses the model."""
        state = self.state
        if not self.task.is_top1:
            value = {"metric_name": self.task.metric, "metric": found.value}
            return {**value, "eval_loss": found.loss, "best_metric": state.best}
        return {
            "train_top1": state.correct / state.images,
            "top1": found.value,
            "eval_loss": found.loss,
            "best_top1": state.best,
        }

    def _check_finite(self, loss: float) -> None:
        if math.isfinite(loss):
            return
        state = self.state
        rate = self.step.optimizer.param_groups[0]["lr"]
        before = f"{state.loss_sum / max(1, state.images):.3g}" if state.loss_sum else "unknown"
        kept = "; the last good checkpoint is untouched" if state.best_epoch else ""
        raise DivergedError(
            f"the loss became {loss} in epoch {state.epoch + 1}, batch {state.batch} (learning rate {rate:g}, "
            f"mean loss before: {before}, {self.step.precision}){kept}. Try a lower `lr`, "
            f"`clip_grad_norm=1`, or `precision='fp32'`, with another `save`"
        )


class StopRequested(Exception):  # noqa: N818
    """A training ended because it was asked to, after its state was saved."""
