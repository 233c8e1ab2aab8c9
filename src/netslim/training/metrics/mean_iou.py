"""Mean intersection over union: of the pixels of each class in all images together."""

import torch
from torch import Tensor

from netslim.training.metrics.metric import METRICS, MetricSpec


class MeanIoU:
    """Of every class that is in the targets or the predictions: intersection over union, averaged over the classes.

    Pixels whose target is no class (negative, such as -100, or too large, such as 255) don't count.
    """

    def __init__(self) -> None:
        self._confusion = torch.zeros(0, 0, dtype=torch.long)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Takes in logits (N, C, H, W) and class numbers (N, H, W)."""
        classes = outputs.shape[1]
        known = (targets >= 0) & (targets < classes)
        pairs = targets[known] * classes + outputs.argmax(1)[known]
        found = torch.bincount(pairs, minlength=classes * classes).view(classes, classes)
        self._confusion = found if not self._confusion.numel() else self._confusion + found

    def compute(self) -> float:
        """The mean over the classes."""
        intersection = self._confusion.diag()
        union = self._confusion.sum(0) + self._confusion.sum(1) - intersection
        there = union > 0
        return float((intersection[there] / union[there]).mean())


METRICS.register("mean_iou")(MetricSpec(label="mean IoU", summary="one class per pixel", gather=MeanIoU))
