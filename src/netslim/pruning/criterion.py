"""The contract of a criterion: one score per channel of a group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import ChannelGroup


class Criterion(Protocol):
    """Scores the channels of a group; the lowest scores go first."""

    def __call__(self, model: nn.Module, group: ChannelGroup) -> Tensor:
        """Returns one score per channel, shape (channels,), float, on any device."""
        ...


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a criterion may ask for beyond the network itself.

    Attributes:
        groups: the groups that will be scored.
        macs: by group name, the MACs of one input that go with one of its channels.
        seed: of everything random.
        batches: normalised images (N, C, H, W) and their labels (N,) on the network's device, or None.
    """

    groups: Sequence[ChannelGroup]
    macs: Mapping[str, float]
    seed: int
    batches: Iterable[tuple[Any, Tensor]] | None


@dataclass(frozen=True, kw_only=True)
class CriterionSpec:
    """What the file of a criterion registers: one of `score` and `prepare`, and what it needs.

    Attributes:
        score: scores a group by its weights alone.
        prepare: what scores the groups, for a criterion that looks at more: called once, before the first. Raises
            UsageError if the evidence does not do.
        needs_scales: whether it reads BatchNorm scales; one that doesn't scores channels without BatchNorm, too.
        needs_batches: whether it needs images with labels.
        summary: what it is, in a few words.
    """

    score: Criterion | None = None
    prepare: Callable[[nn.Module, Evidence], Criterion] | None = None
    needs_scales: bool = True
    needs_batches: bool = False
    summary: str = ""

    def __post_init__(self) -> None:
        if (self.score is None) == (self.prepare is None):
            raise ValueError("a criterion has either score or prepare")

    def scorer(self, name: str, model: nn.Module, evidence: Evidence) -> Criterion:
        """What scores a network's groups; `name` is the criterion's. Raises UsageError if the evidence does not do."""
        if self.needs_batches and evidence.batches is None:
            raise UsageError(
                f"criterion '{name}' needs images with labels: pass plan(..., batches=...), "
                "or type `dataset=NAME` on the command line"
            )
        if self.prepare is not None:
            return self.prepare(model, evidence)
        return cast(Criterion, self.score)
