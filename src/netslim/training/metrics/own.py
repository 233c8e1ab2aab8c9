"""A metric of the user's own: a function, or what gathers as torchmetrics does."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from netslim.core.errors import ArgumentError
from netslim.core.plugins.references import UserObject
from netslim.training.metrics.metric import Metric
from netslim.training.metrics.running import Gathered, MeanOverImages, Running


def own_metric(own: UserObject) -> tuple[Callable[[], Running], bool]:
    """What starts to measure it, and whether higher is better (its `higher_is_better`, where it says so).

    Args:
        own: a function (outputs, labels) -> number, averaged over the images; or a class or an object with `update` and
            `compute`, or a function without parameters that makes one.

    Raises:
        ArgumentError: it is something else.
        UserCodeError: the user's code raises something.
    """
    makes = inspect.isclass(own.value) or (
        inspect.isfunction(own.value) and not inspect.signature(own.value).parameters
    )
    sample = own.call() if makes else own.value
    stated = getattr(sample, "higher_is_better", None)
    if stated not in (True, False, None):
        raise ArgumentError(own.field, own.reference, f"its higher_is_better is {stated!r}, not True or False")
    if hasattr(sample, "update") and hasattr(sample, "compute"):
        if not (makes or hasattr(sample, "reset")):
            raise ArgumentError(own.field, own.reference, "it has no reset, to start anew: name its class")
        return functools.partial(_gathered, own if makes else None, sample), stated in (True, None)
    if not callable(sample):
        raise own.wrong(sample, "a function (outputs, labels) -> number, or something with update and compute")
    return functools.partial(MeanOverImages, sample), stated in (True, None)


def _gathered(maker: UserObject | None, sample: Any) -> Gathered:
    """A fresh start: made anew, or reset."""
    if maker is not None:
        fresh: Metric = maker.call()
        return Gathered(fresh)
    sample.reset()
    return Gathered(sample)
