"""A metric of a whole split, batch by batch."""

from typing import Any, Protocol

from torch import Tensor

from netslim.core.networks.trees import described, mapped
from netslim.core.processes.distributed import World
from netslim.training.metrics.metric import Metric, Score


class Running(Protocol):
    """A metric in the making."""

    def update(self, outputs: Any, targets: Any, images: int) -> None:
        """Takes a batch in."""
        ...

    def result(self, world: World) -> float:
        """The number of all batches, over all processes."""
        ...


class MeanOverImages:
    """The mean of a function over all images: its value for a batch counts as often as the batch has images."""

    def __init__(self, score: Score) -> None:
        self._score = score
        self._sum: Any = 0.0
        self._images = 0

    def update(self, outputs: Any, targets: Any, images: int) -> None:
        """See `Running`. The sum stays on the device: nothing waits."""
        self._sum = self._sum + _one_number(self._score(outputs, targets)) * images
        self._images += images

    def result(self, world: World) -> float:
        """See `Running`."""
        total, images = world.sum(float(self._sum), self._images)
        return total / images


class Gathered:
    """What `update` and `compute` gather, on the CPU, where the metric's own tensors are. It has to see all batches."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def update(self, outputs: Any, targets: Any, images: int) -> None:  # noqa: ARG002
        """See `Running`."""
        self._metric.update(mapped(outputs, _to_cpu), mapped(targets, _to_cpu))

    def result(self, world: World) -> float:  # noqa: ARG002
        """See `Running`."""
        return float(_one_number(self._metric.compute()))


def _one_number(value: Any) -> Any:
    """A number, or a tensor of one that stays where it is. Raises TypeError for anything else."""
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return value.detach().reshape(())
    if isinstance(value, Tensor) or not hasattr(value, "__float__"):
        raise TypeError(f"it gives {described(value)}, not one number")
    return float(value)


def _to_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu()
