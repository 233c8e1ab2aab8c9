"""Names of the networks of torchvision and timm, and which of them are ResNets with BatchNorm."""

from __future__ import annotations

import functools

from netslim.core.errors import UsageError, one_of, unknown_name

FAMILIES = {
    "timm": (
        *("resnet", "resnext", "wide_resnet", "resnetaa", "resnetblur", "resnetrs", "seresnet", "ecaresnet", "senet"),
        *("resnetv2", "legacy_seresnet"),
    ),
    "torchvision": ("resnet", "resnext", "wide_resnet"),
}
# How timm ends the names of networks with GroupNorm, EvoNorm or FilterResponseNorm.
WITHOUT_BATCHNORM = ("_gn", "_bit", "_evos", "_frn")
_TIMM_MODULES = ["resnet", "resnetv2", "senet"]


def resnets(library: str) -> list[str]:
    """Names of the ResNets with BatchNorm in "timm" or "torchvision"."""
    if library == "torchvision":
        return [name for name in classifiers(library) if name.startswith(FAMILIES[library])]
    import timm

    names: list[str] = timm.list_models(module=_TIMM_MODULES)
    return [name for name in names if not name.endswith(WITHOUT_BATCHNORM)]


def check_resnet(library: str, model: str, example: str) -> None:
    """Raises UsageError unless `model` is one of `resnets(library)`; `example` is what to type for one that is."""
    known = resnets(library)
    if model in known:
        return
    if model not in classifiers(library):
        raise unknown_name(f"{library} ResNet", model, known)
    fault = "is not a ResNet that netslim knows"
    if model.endswith(WITHOUT_BATCHNORM):
        fault = "has no BatchNorm, whose scales say which channels can go"
    raise UsageError(
        f"{library} model '{model}' {fault}: the families that work are {one_of(FAMILIES[library])} "
        f"(for example {example})"
    )


def check_classifier(library: str, model: str) -> None:
    """Raises UsageError with the nearest names unless "timm" or "torchvision" has a classifier called `model`."""
    known = classifiers(library)
    if model not in known:
        raise unknown_name(f"{library} network", model, known)


@functools.cache
def classifiers(library: str) -> list[str]:
    """Names of all classifiers of "timm" or "torchvision"."""
    if library == "torchvision":
        from torchvision import models

        names: list[str] = models.list_models(module=models)  # type: ignore[attr-defined]
        return names
    import timm

    return list(timm.list_models())
