"""Top-1 accuracy: the share of images, or of pixels, whose largest logit is their class."""

from torch import Tensor

from netslim.training.metrics.metric import METRICS, MetricSpec


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Logits (N, C, ...) and class numbers (N, ...) -> 0 to 1."""
    found = outputs.argmax(1)
    if found.shape != targets.shape:
        raise ValueError("the labels are not one class number each")
    return (found == targets).float().mean()


METRICS.register("accuracy")(MetricSpec(label="top-1", summary="one class of several", score=accuracy))
