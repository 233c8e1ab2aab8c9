"""Whether a library has a network of a name, and whether that is a ResNet with BatchNorm."""

from __future__ import annotations

from netslim.core.errors import UsageError, one_of, unknown_name
from netslim.models.registry import LIBRARIES


def check_resnet(library: str, model: str, example: str) -> None:
    """Raises UsageError unless `model` is a ResNet of the library; `example` is what to type for one that is."""
    record = LIBRARIES.get(library)
    known = record.resnets()
    if model in known:
        return
    if model not in record.names():
        raise unknown_name(f"{library} ResNet", model, known)
    fault = "is not a ResNet that netslim knows"
    if model.endswith(record.without_batchnorm):
        fault = "has no BatchNorm, whose scales say which channels can go"
    families = one_of(record.families)
    raise UsageError(
        f"{library} model '{model}' {fault}: the families that work are {families} (for example {example})"
    )


def check_classifier(library: str, model: str) -> None:
    """Raises UsageError with the nearest names unless the library has a classifier called `model`."""
    known = LIBRARIES.get(library).names()
    if model not in known:
        raise unknown_name(f"{library} network", model, known)


def without_tag(library: str, model: str) -> str:
    """The name of a network without what chooses among its files of weights."""
    return model.partition(".")[0] if LIBRARIES.get(library).tagged else model
