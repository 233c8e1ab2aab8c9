"""What a classifier that could not be carried over starts from: the network's own noise, zeros, or the class means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from netslim.core.errors import DataError, UsageError
from netslim.core.networks.modes import evaluation_mode

Classifier = nn.Linear | nn.Conv2d


def classifiers(model: nn.Module) -> dict[str, Classifier]:
    """The last layers by name: of what timm's network calls its classifier, or else of the whole network.

    That is the last linear layer, or else the last convolution, as in SqueezeNet; and those beside it that give as many
    outputs, if timm's classifier has several (after a distillation).

    Raises:
        UsageError: there is none.
    """
    said: Any = cast(Any, model).get_classifier() if hasattr(model, "get_classifier") else None
    names = {layer: name for name, layer in model.named_modules()}
    found: list[Classifier] = []
    for part in said if isinstance(said, tuple | list) else (said,):
        last = _last(part) if isinstance(part, nn.Module) else []
        found += [layer for layer in last if len(layer.weight) == len(last[-1].weight)]
    found = found if said is not None else _last(model)[-1:]
    if not found:
        name = type(model).__name__
        raise UsageError(f"{name} ends in no linear layer or convolution, so it has no classifier to start")
    return {names[layer]: layer for layer in found}


def _last(part: nn.Module) -> list[Classifier]:
    """Its linear layers, or its convolutions where it has none."""
    linear: list[Classifier] = [layer for layer in part.modules() if isinstance(layer, nn.Linear)]
    return linear or [layer for layer in part.modules() if isinstance(layer, nn.Conv2d)]


def zero_(model: nn.Module) -> None:
    """Sets the classifier to zero: at first all classes are equally likely, and the features get no gradient."""
    for head in classifiers(model).values():
        for parameter in head.parameters():
            nn.init.zeros_(parameter)


def class_means_(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Sets the classifier to the nearest class mean of the features that come into it.

    With class means m_c, their own mean m and the variance v within the classes along the directions m_c - m, the
    logits are ((m_c - m) f - (|m_c|^2 - |m|^2) / 2) / v: the log-likelihoods, up to what the classes share, of
    equally likely normal classes with that variance. The variance averaged over all directions would be far too
    small, and the softmax far too sure: features vary together, most of all where the classes differ.

    Args:
        model: in eval mode meanwhile; only its classifier changes.
        batches: (normalised images (N, C, H, W), labels (N,)) on the model's device.

    Raises:
        UsageError: the network has no classifier, or several.
        DataError: a class without images.
    """
    heads = list(classifiers(model).values())
    if len(heads) > 1:
        raise UsageError(f"{type(model).__name__} has {len(heads)} classifiers, class means are for one: start at zero")
    head = heads[0]
    means, covariance = _class_statistics(model, head, batches)
    centre = means.mean(0)
    directions = means - centre
    spread = ((directions @ covariance) * directions).sum() / directions.square().sum()
    variance = spread.nan_to_num().clamp_min(torch.finfo(torch.float32).eps)
    with torch.no_grad():
        head.weight.copy_((directions / variance).view_as(head.weight))
        if head.bias is not None:
            head.bias.copy_((centre.square().sum() - means.square().sum(1)) / (2 * variance))


def _class_statistics(
    model: nn.Module, head: Classifier, batches: Iterable[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Of the classifier's inputs: means, (classes, features), and covariance within classes, (features, features)."""
    classes, width = head.weight.shape[:2]
    sums = head.weight.new_zeros(classes, width, dtype=torch.float64)
    counts, products = sums.new_zeros(classes), sums.new_zeros(width, width)
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        with evaluation_mode(model), torch.no_grad():
            for images, labels in batches:
                model(images)
                features = seen.pop().flatten(1).double()
                sums.index_add_(0, labels, features)
                counts += torch.bincount(labels, minlength=classes)
                products += features.T @ features
    finally:
        hook.remove()
    if not counts.all():
        raise DataError(f"there are no images of class {int(counts.argmin())}, so it has no mean")
    means = sums / counts[:, None]
    return means, (products - sums.T @ means) / counts.sum()
