"""What a plan asks of an engine that its network will run on; `netslim.deploy.latency.Engine` answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup, Slice
from netslim.cost import Latency
from netslim.cost.time_model import TimeModel

Call = Callable[[], object]


class TimingEngine(Protocol):
    """An engine under fixed conditions.

    Attributes:
        name: of the engine.
        batch_size: images per call.
        threads: of the processor.
        int8: whether its layers are in 8-bit integers.
        is_here: whether networks can be run on it, or else there is a table of times alone.
    """

    name: str
    batch_size: int
    threads: int
    int8: bool
    is_here: bool

    def times_of(
        self,
        model: nn.Module,
        example: Tensor,
        groups: Sequence[tuple[ChannelGroup, Sequence[Slice]]],
        counts: Sequence[int],
    ) -> TimeModel:
        """A network's time as a function of what its groups lose, given each group, what it cuts and its channels."""
        ...

    def call(self, model: nn.Module, example: Tensor) -> Call:
        """What runs a whole network once."""
        ...

    def time(self, calls: Mapping[str, Call]) -> Mapping[str, Latency]:
        """Calls, timed in turns."""
        ...
