"""One training step: forward, loss, backward, penalty, optimizer."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.networks.trees import Batch, called, rows
from netslim.core.processes.distributed import ALONE, World
from netslim.training.cuda_graphs import Graphs, Pair, Work, unchanged
from netslim.training.device_scalars import DeviceScalars
from netslim.training.distillation import Teacher
from netslim.training.optimizer import step_sizes
from netslim.training.penalties import Penalty
from netslim.training.precision import Precision
from netslim.training.processes.ddp import Replica
from netslim.training.tasks.objective import Classification, Objective

Network = Callable[..., Any]  # images (N, C, H, W) -> logits (N, classes)


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a step found, summed over this process's images; on the device, so that nothing has to wait."""

    loss: Tensor
    correct: Tensor


@dataclass(eq=False)
class TrainStep:
    """A step on the loss plus the penalty on the scales. It is complete when it is constructed.

    Args:
        model: in train mode when called.
        optimizer: over the model's parameters. Where steps are recorded it must keep its momentum buffers: their values
            may be replaced (see `netslim.training.optimizer.import_state`), not the tensors.
        precision: dtype of the computation and memory layout.
        penalty: on the scales; acts on the real gradients right before the optimizer's step, or after it.
        objective: the loss; cross-entropy if it is left out.
        clip_grad_norm: largest norm of all gradients together, or None.
        accumulate: a batch is worked off in this many parts, to save memory.
        teacher: whose logits count in the loss, or None; it is put into this precision's memory layout.
        world: the processes that take every step together, each on its part of the batch.
        sync_bn: BatchNorm statistics over all processes instead of one each.
        graphs: what records the steps and replays them, or None.
        compiled: by number of images, what computes the logits of so many instead of the model (see `compiled_for`).

    Attributes:
        replica: the model with its copies in the other processes.
        scaler: of the loss, in fp16.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    _: KW_ONLY
    precision: Precision
    penalty: Penalty
    objective: Objective = field(default_factory=Classification)
    clip_grad_norm: float | None = None
    accumulate: int = 1
    teacher: Teacher | None = None
    world: World = ALONE
    sync_bn: bool = False
    graphs: Graphs | None = None
    compiled: Mapping[int, Network] = field(default_factory=dict)
    replica: Replica = field(init=False)
    scaler: torch.amp.GradScaler = field(init=False)

    def __post_init__(self) -> None:
        self.replica = Replica(self.model, self.world, sync_bn=self.sync_bn)
        if self.teacher is not None:
            self.precision.arrange_(self.teacher.model)
        device = next(self.model.parameters()).device
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision.dtype == torch.float16)
        self._scalars = DeviceScalars(self.optimizer, self.penalty, device)

    def rehearse(self, images: Batch, labels: Any) -> None:
        """Takes a step on a batch as in training, unrecorded, and takes it back: what fails, fails here.

        A compiled network is compiled by this, for minutes.

        Raises:
            Exception: whatever the step raises; nothing has changed.
        """
        training = self.model.training
        with unchanged(self.state()):
            try:
                self.model.train()
                self._take(images, labels, len(images))
            finally:
                self.model.train(training)

    def state(self) -> tuple[list[Tensor], ...]:
        """What a step changes: parameters, BatchNorm statistics, momentum."""
        momentum = [each.get("momentum_buffer") for each in self.optimizer.state.values()]
        parameters = [parameter.detach() for parameter in self.model.parameters()]
        return parameters, [*self.model.buffers()], [each for each in momentum if each is not None]

    def __call__(self, images: Batch, labels: Any, total: int | None = None) -> StepResult:
        """Takes a step on images (N, C, H, W), or several inputs, and labels (N,), or whatever labels the loss takes.

        Args:
            images: this process's part of the batch, see `netslim.core.processes.distributed.World.shares`.
            labels: its classes.
            total: images of the whole batch, over all processes; None: these are all.
        """
        total = len(images) if total is None else total
        if self.graphs is None or not isinstance(images, Tensor):
            return self._take(images, labels, total)
        loss, correct = self.graphs.run(self._work(total), images, labels)
        return StepResult(loss=loss, correct=correct)

    def _work(self, total: int) -> Work:
        def act(images: Tensor, labels: Tensor) -> Pair:
            result = self._take(images, labels, total)
            return result.loss, result.correct

        return Work(
            form=("step", total, self.penalty.form),
            act=act,
            state=self.state,
            recording=self._scalars.read,
            prepare=self._scalars.update,
        )

    def _take(self, images: Batch, labels: Any, total: int) -> StepResult:
        self.optimizer.zero_grad(set_to_none=True)
        sizes = self.replica.world.shares(total, self.accumulate)
        pairs = [(images, labels)] if len(sizes) == 1 else list(_parts(images, labels, sizes))
        parts = [self._backward(*pair, total, last=number == len(pairs)) for number, pair in enumerate(pairs, 1)]
        self.scaler.unscale_(self.optimizer)
        if self.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_grad_norm)
        self._update()
        return StepResult(loss=sum_of([p.loss for p in parts]), correct=sum_of([p.correct for p in parts]))

    def _update(self) -> None:
        """The optimizer's step, with the penalty on either side of it."""
        self.penalty.before_step_()
        before = self.scaler.get_scale() if self.penalty.shrinks else 0.0  # to look makes a device wait
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.penalty.shrinks and self.scaler.get_scale() >= before:  # else a gradient overflowed: no step was taken
            self.penalty.after_step_(step_sizes(self.optimizer, self.penalty.scales))

    def _backward(self, images: Batch, labels: Any, total: int, *, last: bool) -> StepResult:
        with self.replica.part(last=last):
            with self.precision.autocast(images.device):
                arranged = self.precision.arrange(images)
                logits = called(self.compiled.get(len(images), self.replica), arranged)
                said = self.teacher.logits(arranged) if self.teacher else None
            loss, correct = self.objective(logits, labels, len(images))
            if self.teacher and said is not None:
                loss = self.teacher.mixed(loss, logits.float(), said)
            # The gradients are averaged over the processes; their sum is that of the mean over the whole batch.
            torch.autograd.backward(self.scaler.scale(loss / (total / self.replica.world.size)))
        return StepResult(loss=loss.detach(), correct=correct)


def _parts(images: Batch, labels: Any, sizes: Sequence[int]) -> Iterator[tuple[Batch, Any]]:
    for size, end in zip(sizes, itertools.accumulate(sizes), strict=True):
        part = slice(end - size, end)
        yield images[part], rows(labels, part, len(images))


def compiled_for(model: nn.Module, images: int, *, accumulate: int = 1) -> dict[int, Network]:
    """The network compiled for the parts of a batch of so many images, as `TrainStep.compiled` wants it.

    torch compiles at the first call: see `TrainStep.rehearse`.
    """
    return {-(-images // accumulate): torch.compile(model, dynamic=False)}


def sum_of(values: list[Tensor]) -> Tensor:
    """The sum of scalars, on their device."""
    return values[0] if len(values) == 1 else torch.stack(values).sum()
