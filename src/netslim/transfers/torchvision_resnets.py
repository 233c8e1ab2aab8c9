"""torchvision as a source: names, networks, and pretrained weights through torch hub's own cache folder.

`torch.hub.load_state_dict_from_url` and the weights' `get_state_dict` unpickle unsafely by default; neither is used.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import nn
from torchvision import models as torchvision_models

from netslim.core.download import download
from netslim.core.errors import DataError
from netslim.core.files import file_hash
from netslim.models.imagenet import from_torchvision
from netslim.models.imagenet_names import resnets
from netslim.transfers.weight_files import unavailable, wrong_hash

models: Any = torchvision_models  # its functions are not marked as exported


def resnet_names() -> list[str]:
    """Names of torchvision's ResNet classifiers, which can all be mapped."""
    return resnets("torchvision")


def build(name: str) -> nn.Module:
    """The network, randomly initialised, 1000 classes."""
    return from_torchvision(name)


def default_url(name: str) -> str:
    """Address of the default pretrained weights."""
    return str(models.get_model_weights(name)["DEFAULT"].value.url)


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
