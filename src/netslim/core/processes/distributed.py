"""Several processes that train one network, as `torchrun` starts them. One process alone is a world of size 1."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from netslim.core.errors import LostProcessError, NetslimError, UsageError
from netslim.core.launch import launched, local_rank, share
from netslim.core.processes.heartbeat import STARTING, Heartbeat

T = TypeVar("T")

# How long a process waits for the others. In a step they are never far apart, so that a long wait means a dead machine;
# but one of them may be downloading or writing while the others wait for its answer.
STEP, PATIENCE = timedelta(seconds=25), timedelta(minutes=30)

_joined = itertools.count()


@dataclass(frozen=True, eq=False)
class World:
    """The processes that train together. With one process every method is free of cost and of effect.

    Attributes:
        rank: this process's number, from 0.
        size: number of processes.
        steps: the process group of what happens in every step, on the training device; None with one process.
        least: images that every process needs of every part of a batch.
    """

    rank: int = 0
    size: int = 1
    steps: dist.ProcessGroup | None = None
    least: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def shares(self, images: int, parts: int = 1) -> list[int]:
        """How many images of each part of a batch are this process's.

        A batch of `images` is worked off in up to `parts` parts, and the processes share every part, the first ones
        taking what is left over: so part k of all processes together is part k of one process alone.
        """
        every = torch.split(torch.arange(images), self.parts(images, parts))
        return [len(part.tensor_split(self.size)[self.rank]) for part in every]

    def parts(self, images: int, parts: int) -> list[int]:
        """Images of each part of a batch; the last parts are one where one has too few for all processes."""
        sizes = [len(part) for part in torch.arange(images).chunk(parts)]
        while len(sizes) > 1 and sizes[-1] < self.least * self.size:
            sizes[-2:] = [sum(sizes[-2:])]
        return sizes

    def share(self, batch: Tensor, parts: int = 1) -> Tensor:
        """This process's rows of a batch, part after part; see `shares`."""
        if self.size == 1:
            return batch
        return torch.cat(
            [part.tensor_split(self.size)[self.rank] for part in torch.split(batch, self.parts(len(batch), parts))]
        )

    def sum(self, *numbers: float) -> list[float]:
        """Each number summed over the processes."""
        return self._reduce(numbers, dist.ReduceOp.SUM)

    def largest(self, number: int) -> int:
        """The largest of the processes' numbers."""
        return int(self._reduce([number], dist.ReduceOp.MAX)[0])

    def sum_(self, tensor: Tensor) -> Tensor:
        """Sums a tensor on the training device over the processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor, group=self.steps)
        return tensor

    def copy_first_(self, tensors: Iterable[Tensor]) -> None:
        """Gives the tensors the values that they have in the first process."""
        for tensor in tensors if self.size > 1 else ():
            dist.broadcast(tensor, src=0, group=self.steps)

    def from_first(self, act: Callable[[], T]) -> T:
        """What `act` returns in the first process, which alone runs it; all get its answer or its NetslimError."""
        if self.size == 1:
            return act()
        answer: list[Any] = [_outcome(act) if self.first else None]
        dist.broadcast_object_list(answer, src=0)
        value, error = answer[0]
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]

    def one_after_the_first(self, act: Callable[[], T]) -> T:
        """What `act` returns here, where the first process of each machine has run it before: it may download."""
        if self.size == 1:
            return act()
        early = act() if local_rank() == 0 else None
        dist.barrier()
        return early if early is not None else act()

    def _reduce(self, numbers: Iterable[float], operation: Any) -> list[float]:
        if self.size == 1:
            return [*numbers]
        tensor = torch.tensor([*numbers], dtype=torch.float64)
        on_cpu = dist.get_backend(self.steps) == "gloo"
        dist.all_reduce(tensor, op=operation, group=self.steps if on_cpu else None)
        return tensor.tolist()


ALONE = World()


@contextmanager
def join(device: torch.device, patience: float = 60) -> Iterator[World]:
    """The world of this process, which is left at the end; a world of one if no launcher says otherwise.

    Args:
        device: what this process trains on: GPUs talk through NCCL, CPUs through Gloo.
        patience: seconds after which a process that no longer answers is given up: the others end with its number.

    Raises:
        UsageError: the launcher's variables are incomplete.
        LostProcessError: inside, another process ended or could not be reached.
    """
    if not launched():
        yield ALONE
        return
    store, rank, size = _store(timedelta(seconds=STARTING * patience))
    heartbeat = Heartbeat(store, rank, size, patience)
    share(heartbeat.store)
    heartbeat.start()
    try:
        yield _enter(device, store, rank, size)
        dist.barrier()
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise LostProcessError(f"{heartbeat.silent()} of this run has ended or can't be reached") from error
    heartbeat.stop()
    dist.destroy_process_group()  # after an error it could wait for the dead: the process ends anyway


def _store(timeout: timedelta) -> tuple[Any, int, int]:
    """What the processes share, this one's number, and how many there are."""
    try:
        store, rank, size = next(rendezvous("env://", timeout=timeout))
    except ValueError as error:
        raise UsageError(f"{error}: start several processes with torchrun") from error
    except dist.DistError as error:
        raise LostProcessError(f"process 0 of this run can't be reached within {timeout.seconds} seconds") from error
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return dist.PrefixStore(f"netslim/{restarts}/{next(_joined)}", store), rank, size  # type: ignore[attr-defined]


def _enter(device: torch.device, store: Any, rank: int, size: int) -> World:
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=PATIENCE)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    steps: Any = dist.new_group(backend="nccl" if device.type == "cuda" else "gloo", timeout=STEP)
    return World(rank, size, steps)


def _outcome(act: Callable[[], T]) -> tuple[T | None, NetslimError | None]:
    try:
        return act(), None
    except NetslimError as error:
        return None, error


def _is_lost(error: RuntimeError) -> bool:
    words = ("gloo", "nccl", "connection", "timed out")
    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in words)
