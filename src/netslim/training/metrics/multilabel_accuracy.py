"""The share of labels that are right where an image has any number of classes."""

from torch import Tensor

from netslim.training.metrics.metric import METRICS, MetricSpec


def multilabel_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Logits and targets (0 or 1) of one shape -> the share of logits on the right side of 0."""
    return ((outputs > 0) == (targets > 0.5)).float().mean()


METRICS.register("multilabel_accuracy")(
    MetricSpec(label="label accuracy", summary="several classes at once", score=multilabel_accuracy)
)
