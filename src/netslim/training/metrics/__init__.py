"""Metrics, one a file: what chooses the best model and is reported."""

from netslim.training.metrics.metric import METRICS as METRICS
from netslim.training.metrics.metric import Metric as Metric
from netslim.training.metrics.metric import MetricSpec as MetricSpec
