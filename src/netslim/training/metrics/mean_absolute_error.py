"""The mean absolute error of numbers."""

from torch import Tensor

from netslim.training.metrics.metric import METRICS, MetricSpec


def mean_absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Outputs and targets of one shape -> the mean of the absolute differences."""
    if outputs.shape != targets.shape:
        raise ValueError("they are not of one shape")
    return (outputs - targets).abs().mean()


METRICS.register("mean_absolute_error")(
    MetricSpec(label="MAE", summary="numbers", score=mean_absolute_error, higher_is_better=False, is_share=False)
)
