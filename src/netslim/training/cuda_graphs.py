"""Work on a device that is recorded once and then launched again without Python: CUDA graphs.

A small network's step is thousands of short kernels, and Python takes longer to launch them than the device to run
them. A recording has their arguments in it: it reads and writes the same memory each time, so a batch is copied to
where it reads, and a number that changes from step to step is a tensor (see `device_scalars`).
"""

import gc
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from netslim.core.errors import first_line
from netslim.core.networks.modes import collection_paused

T = TypeVar("T")
Pair = tuple[Tensor, Tensor]

WARM_UP = 3  # ordinary runs before a recording: libraries and compilers set themselves up in the first ones
AGREEMENT = 0.05  # largest difference of a replay from an ordinary run, as a share of what the run changes


class Recorder(Protocol):
    """What can record on a device."""

    def aside(self, act: Callable[[], T]) -> T:
        """Runs `act` as an ordinary run, where recordings are made."""
        ...

    def record(self, act: Callable[[], T]) -> Callable[[], T]:
        """What `act` launches, without running it: a call runs it, and returns the tensors that every call fills.

        Raises:
            RuntimeError: something in it can't be recorded, like a look at a value on the device.
        """
        ...


class CudaRecorder:
    """CUDA graphs that share one pool of memory: so only one may run at a time, and what it returned must be copied.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()
        self._failed: list[torch.cuda.CUDAGraph] = []  # the allocator may still ask them

    def aside(self, act: Callable[[], T]) -> T:
        """Runs `act` on the stream of the recordings; what is launched after waits for it."""
        here = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            found = act()
        here.wait_stream(self._stream)
        return found

    def record(self, act: Callable[[], T]) -> Callable[[], T]:
        """See `Recorder`."""
        gc.collect()  # to free an old graph is not allowed while a new one is recorded
        with torch.cuda.stream(self._stream), collection_paused():  # the stream of before comes back, also after errors
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                    found = act()
            except BaseException:
                graph.reset()
                self._failed.append(graph)
                raise

        def replay() -> T:
            graph.replay()
            return found

        return replay


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is run on batches, in a way that can be recorded.

    Attributes:
        form: what Python decides in it. A recording is good for this form and shape of a batch.
        act: images (N, C, H, W) and labels (N,) -> loss and number of correct ones.
        state: the tensors that it changes, in groups of one kind each.
        recording: what is entered to record it.
        prepare: called before every replay.
    """

    form: Hashable
    act: Callable[[Tensor, Tensor], Pair]
    state: Callable[[], Sequence[Sequence[Tensor]]] = tuple
    recording: Callable[[], AbstractContextManager[object]] = nullcontext
    prepare: Callable[[], None] = lambda: None


@dataclass(eq=False)
class _Slot:
    """One form and shape: where its batches are copied to, how often it was run, and its recording."""

    images: Tensor
    labels: Tensor
    runs: int = 0
    replay: Callable[[], Pair] | None = None


class Graphs:
    """Runs work on batches: a few times as it is, then from a recording, which must do the same as the work itself.

    Where recording fails, or a replay does something else, this is said in one line and everything is run as it is.

    Args:
        recorder: of the device that the batches are on.
        say: gets the line.

    Attributes:
        off: why nothing is recorded any more; empty while it is.
        recorded: number of recordings that are in use.
    """

    def __init__(self, recorder: Recorder, say: Callable[[str], None]) -> None:
        self._recorder = recorder
        self._say = say
        self._slots: dict[Hashable, _Slot] = {}
        self.off = ""

    @property
    def recorded(self) -> int:
        """Number of recordings that are in use."""
        return 0 if self.off else sum(slot.replay is not None for slot in self._slots.values())

    def run(self, work: Work, images: Tensor, labels: Tensor) -> Pair:
        """The work on a batch; returns new tensors."""
        if self.off:
            return work.act(images, labels)
        slot = self._slot(work, images, labels)
        if slot.replay is not None:
            work.prepare()
            loss, correct = slot.replay()
        elif slot.runs < WARM_UP:
            slot.runs += 1
            loss, correct = self._recorder.aside(lambda: work.act(slot.images, slot.labels))
        else:
            loss, correct = self._record(work, slot)
        return loss.clone(), correct.clone()

    def _slot(self, work: Work, images: Tensor, labels: Tensor) -> _Slot:
        """The slot for this batch, with the batch in it."""
        key = (work.form, images.shape)
        if key not in self._slots:
            self._slots[key] = _Slot(torch.empty_like(images), torch.empty_like(labels))
        slot = self._slots[key]
        slot.images.copy_(images)
        slot.labels.copy_(labels)
        return slot

    def _record(self, work: Work, slot: _Slot) -> Pair:
        """Records, tries the recording, takes its effects back, and runs the work as it is: the two must agree."""
        groups = work.state()
        before = _copies(groups)
        with unchanged(groups), torch.random.fork_rng([slot.images.device] if slot.images.is_cuda else []):
            try:
                with work.recording():
                    slot.replay = self._recorder.record(lambda: work.act(slot.images, slot.labels))
                work.prepare()
                replayed = slot.replay()[0].clone(), _copies(groups)
            except RuntimeError as error:
                self._stop(_reason(error))
        found = self._recorder.aside(lambda: work.act(slot.images, slot.labels))
        if not self.off:
            difference = max(_relative(replayed[0], found[0]), _difference(before, replayed[1], groups))
            if difference > AGREEMENT:
                self._stop(f"a replay differs from an ordinary run by {difference:.1%} of what that changes")
        return found

    def _stop(self, reason: str) -> None:
        self.off = reason
        self._slots.clear()
        self._say(f"graphs are off: {reason}")


@contextmanager
def unchanged(groups: Sequence[Sequence[Tensor]]) -> Iterator[None]:
    """The tensors have after it the values that they have before it, whatever happens inside."""
    copies = _copies(groups)
    try:
        yield
    finally:
        with torch.no_grad():
            for group, copied in zip(groups, copies, strict=True):
                for tensor, copy in zip(group, copied, strict=True):
                    tensor.copy_(copy)


def _copies(groups: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    return [[tensor.detach().clone() for tensor in group] for group in groups]


def _relative(value: Tensor, other: Tensor) -> float:
    return float((value - other).abs() / other.abs().clamp(min=1e-6))


def _difference(
    before: Sequence[Sequence[Tensor]], replayed: Sequence[Sequence[Tensor]], ran: Sequence[Sequence[Tensor]]
) -> float:
    """The largest |replayed - ran| / |ran - before| over the groups, in Euclidean norm."""
    worst = 0.0
    for group in zip(before, replayed, ran, strict=True):
        apart, change = _distance(group[1], group[2]), _distance(group[2], group[0])
        worst = max(worst, apart / change if change else apart)
    return worst


def _distance(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    squares = [(a.detach().double() - b.detach().double()).square().sum() for a, b in zip(some, others, strict=True)]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def _reason(error: BaseException) -> str:
    """The first line of the error that began it: ending a recording that failed is an error, too."""
    while error.__context__ is not None:
        error = error.__context__
    return first_line(error)
