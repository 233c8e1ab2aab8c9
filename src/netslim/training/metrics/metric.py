"""What a metric is, and how one is found by its name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from netslim.core.plugins.registry import Registry


class Metric(Protocol):
    """A number of a whole split, gathered batch by batch: as torchmetrics has it."""

    def update(self, outputs: Any, targets: Any, /) -> object:
        """Takes a batch in."""
        ...

    def compute(self) -> Any:
        """The number: of Python, or a tensor with one element."""
        ...


Score = Callable[[Any, Any], Any]  # (outputs, targets) of a batch -> its mean


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """What the file of a metric registers: a function that is averaged over the images, or a class that gathers.

    Attributes:
        label: how it is called in lines and tables ("top-1").
        summary: a few words for lists.
        score: (outputs, targets) of a batch -> its mean, or None.
        gather: makes a `Metric`, or None.
        higher_is_better: which of two models is better.
        is_share: whether it lies between 0 and 1 and is shown in percent.
    """

    label: str
    summary: str
    score: Score | None = None
    gather: Callable[[], Metric] | None = None
    higher_is_better: bool = True
    is_share: bool = True


METRICS: Registry[MetricSpec] = Registry("metric", "netslim.training.metrics")
