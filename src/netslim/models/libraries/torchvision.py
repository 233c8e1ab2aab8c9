"""torchvision: names, networks, and pretrained weights through torch hub's own cache folder.

`torch.hub.load_state_dict_from_url` and the weights' `get_state_dict` unpickle unsafely by default; neither is used.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import nn

from netslim.core.download import download
from netslim.core.errors import DataError
from netslim.core.files import file_hash
from netslim.core.protocols import Normalization
from netslim.models.pretrained_files import unavailable, wrong_hash
from netslim.models.registry import LIBRARIES, Library

_FAMILIES = ("resnet", "resnext", "wide_resnet")
_SLOW_TO_DRAW = ("googlenet", "inception_v3")  # their own start, truncated normals, takes half a minute and a warning
# TensorFlow's weights: torchvision turns its usual images into those they learnt inside, where it loads them itself
_CENTRED = ("googlenet", "inception_v3")


@functools.cache
def names() -> list[str]:
    """Names of all classifiers."""
    models = _models()
    found: list[str] = models.list_models(module=models)
    return found


def resnets() -> list[str]:
    """Names of the ResNets, which all have BatchNorm."""
    return [name for name in names() if name.startswith(_FAMILIES)]


def build(name: str, num_classes: int | None = None, in_channels: int | None = None) -> nn.Module:  # noqa: ARG001
    """The network, randomly initialised, for colour images; 1000 classes without a number."""
    options = {"init_weights": False} if name in _SLOW_TO_DRAW else {}
    network: nn.Module = _models().get_model(name, weights=None, num_classes=num_classes or 1000, **options)
    return network


def _models() -> Any:
    """torchvision's module of networks, whose functions are not marked as exported; it takes long to import."""
    from torchvision import models

    return models


def default_url(name: str) -> str:
    """Address of the default pretrained weights."""
    return str(_models().get_model_weights(name)["DEFAULT"].value.url)


def normalization(name: str) -> Normalization:
    """Mean and standard deviation of the images that the default weights were trained on."""
    if name in _CENTRED:
        return (0.5,) * 3, (0.5,) * 3
    images = _models().get_model_weights(name)["DEFAULT"].transforms()
    return tuple(images.mean), tuple(images.std)


def fetch(name: str) -> tuple[Path, str]:
    """The file with the default pretrained weights and its address; the file's name carries the start of its SHA-256.

    Raises:
        CheckpointError: not in the cache and not to be downloaded, or not what its hash says.
    """
    url = default_url(name)
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
    prefix = _hash_prefix(path.name)
    if path.exists():
        if not file_hash(path).startswith(prefix):
            raise wrong_hash(path)
        return path, url
    try:
        return download(path, [url], f"sha256:{prefix}"), url
    except DataError as error:
        cause, bracket, _ = str(error).partition("): ")  # what follows is advice for data sets
        raise unavailable(f"torchvision {name}", cause + bracket[:1], url, f"put it at {path}") from error


def _hash_prefix(file_name: str) -> str:
    found = re.search(r"-([0-9a-f]{8,64})\.", file_name)
    if found is None:
        raise ValueError(f"torchvision names its weights after their hash, but '{file_name}' carries none")
    return found.group(1)


LIBRARIES.register("torchvision")(
    Library(
        names=names,
        build=build,
        fetch=fetch,
        resnets=resnets,
        families=_FAMILIES,
        normalization=normalization,
    )
)
