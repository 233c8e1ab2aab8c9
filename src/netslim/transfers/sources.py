"""Source networks: the classifiers of the registered libraries, with pretrained weights, a file's, or without any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netslim.core.errors import UsageError, unknown_name
from netslim.core.files import file_hash
from netslim.models.library_names import check_classifier, without_tag
from netslim.models.registry import LIBRARIES, Library
from netslim.transfers.weight_files import Shapes, check_fits, read_weights

# The names that a file is compared with when it does not hold the network it is said to hold.
COMMON = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A source network's weights.

    Attributes:
        library: name of a registered library of networks.
        model_name: the library's name of the network.
        state_dict: its tensors, on the CPU.
        pretrained: whether the weights were trained; False for a random initialisation.
        origin: where the weights come from: an address, a file, or "random initialisation".
        weights_sha256: SHA-256 of the weights file, None without one.
    """

    library: str
    model_name: str
    state_dict: Mapping[str, Tensor]
    pretrained: bool
    origin: str
    weights_sha256: str | None

    def describe(self) -> dict[str, Any]:
        """Everything but the tensors, as plain data."""
        return {
            "library": self.library,
            "model_name": self.model_name,
            "pretrained": self.pretrained,
            "origin": self.origin,
            "weights_sha256": self.weights_sha256,
        }


def load_source(source: str, model_name: str, *, pretrained: bool = True, weights: Path | None = None) -> Source:
    """Loads a source network's weights.

    Args:
        source: name of a registered library of networks ("torchvision").
        model_name: the library's name; timm's may carry a tag ("resnet50.a1_in1k").
        pretrained: take the library's default pretrained weights; False for a random initialisation.
        weights: a `.pth`, `.pth.tar` or `.safetensors` file of that network instead (plain or nested state dict).

    Raises:
        UsageError: unknown library or model, or contradicting arguments.
        CheckpointError: the weights cannot be had, are damaged, unsafe, or belong to another network.

    >>> import netslim
    >>> source = netslim.load_source("torchvision", "resnet18", pretrained=False)
    >>> source.origin, tuple(source.state_dict["conv1.weight"].shape)
    ('random initialisation', (64, 3, 7, 7))
    """
    library = _library(source)
    check_classifier(source, without_tag(source, model_name))
    if weights is not None and not pretrained:
        raise UsageError("`weights` and `pretrained=False` exclude each other: leave one of them out")
    if weights is None and not pretrained:
        state, origin, digest = dict(library.build(model_name).state_dict()), "random initialisation", None
    else:
        path, origin = (weights, str(weights)) if weights is not None else library.fetch(model_name)
        state, digest = read_weights(path), file_hash(path)
        check_fits(path, state, model_name, lambda name: _shapes(library, name), COMMON)
        state = _in_network_order(state, _shapes(library, model_name))
    return Source(
        library=source,
        model_name=model_name,
        state_dict=state,
        pretrained=pretrained,
        origin=origin,
        weights_sha256=digest,
    )


def _library(source: str) -> Library:
    if source not in LIBRARIES.names():
        raise unknown_name("source", source, LIBRARIES.names())
    return LIBRARIES.get(source)


def _in_network_order(state: Mapping[str, Tensor], network: Shapes) -> dict[str, Tensor]:
    """The tensors as the network has them: a safetensors file has block 10 before block 2."""
    order = [key for key in network if key in state]
    return {key: state[key] for key in dict.fromkeys((*order, *state))}


def _shapes(library: Library, name: str) -> Shapes:
    """State-dict key -> shape of the library's network, built without allocating it."""
    with torch.device("meta"):
        return {key: tuple(tensor.shape) for key, tensor in library.build(name).state_dict().items()}
