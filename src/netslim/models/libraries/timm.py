"""timm: names, networks, and pretrained weights through the Hugging Face hub's own cache.

timm and the hub take a second to import, so that happens when they are used.
"""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from torch import nn

from netslim.core.download import PATIENCE, answer
from netslim.core.errors import UsageError
from netslim.core.files import file_hash
from netslim.core.hub import CONNECT_SECONDS, in_words
from netslim.core.protocols import Normalization
from netslim.models.pretrained_files import unavailable, wrong_hash
from netslim.models.registry import LIBRARIES, Library

# How timm ends the names of networks with GroupNorm, EvoNorm or FilterResponseNorm.
WITHOUT_BATCHNORM = ("_gn", "_bit", "_evos", "_frn")
_RESNET_MODULES = ["resnet", "resnetv2", "senet"]


@functools.cache
def names() -> list[str]:
    """Names of all classifiers."""
    import timm

    return list(timm.list_models())


@functools.cache
def resnets() -> list[str]:
    """Names of the ResNets with BatchNorm, pre-activation ones too."""
    import timm

    found: list[str] = timm.list_models(module=_RESNET_MODULES)
    return [name for name in found if not name.endswith(WITHOUT_BATCHNORM)]


def build(name: str, num_classes: int | None = None, in_channels: int | None = None) -> nn.Module:
    """The network, randomly initialised; without numbers, with the classes of its weights (mostly 1000)."""
    import timm
    from timm.layers.blur_pool import BlurPool2d

    if num_classes is None or in_channels is None:
        plain: nn.Module = timm.create_model(name, pretrained=False)
        return plain
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes, in_chans=in_channels)
    blurs: list[Any] = [module for module in network.modules() if isinstance(module, BlurPool2d)]
    for blur in blurs:  # one filter for however many channels are left, as timm itself allows
        blur.channels, blur.filt = None, blur.filt[:1].clone()
    return network


def fetch(name: str) -> tuple[Path, str]:
    """The file with the pretrained weights (of the name's tag, or the default) and its address.

    Raises:
        UsageError: timm has no weights under this name.
        CheckpointError: not in the cache and not to be downloaded, or not what its hash says.
    """
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, file_name = _location(name)
    url = hf_hub_url(repository, file_name)
    try:
        path = Path(hf_hub_download(repository, file_name, local_files_only=True))
    except LocalEntryNotFoundError:
        path = _download(name, repository, file_name, url)
    _verify(path)
    return path, url


def normalization(name: str) -> Normalization | None:
    """Mean and standard deviation of the images that the weights of the name's tag, or the default, were trained on."""
    import timm

    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:  # no such tag: a file is given for the weights
        config = timm.get_pretrained_cfg(name.partition(".")[0])
    return None if config is None else (tuple(config.mean), tuple(config.std))


def _location(name: str) -> tuple[str, str]:
    """(repository, file name) on the hub."""
    import timm

    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{name.partition('.')[0]}.*"))
        raise UsageError(f"timm has no weights called '{name}' (known: {tags})") from error
    if config is None or not config.hf_hub_id:
        raise UsageError(f"timm has no pretrained weights for '{name}': pass `weights=FILE` or `pretrained=False`")
    return config.hf_hub_id, config.hf_hub_filename or "model.safetensors"


def _download(name: str, repository: str, file_name: str, url: str) -> Path:
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download

    host = urlsplit(url).netloc
    sys.stderr.write(f"asking {host} for {file_name} of {repository}\n")
    try:
        # One short request first: without a network the hub's own download retries for half a minute.
        answer(lambda: get_hf_file_metadata(url, timeout=CONNECT_SECONDS), PATIENCE)
        return Path(hf_hub_download(repository, file_name))
    except Exception as error:  # the hub's transport, and with it the class of its errors, changes between versions
        folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
        remedy = f"copy that machine's {folder.name} folder into {folder.parent}"
        raise unavailable(f"timm {name}", f"{host}: {in_words(error)}", url, remedy) from error


def _verify(path: Path) -> None:
    """Raises CheckpointError if a cached file is not what its name says: the hub names large files by their SHA-256."""
    stored = path.resolve()
    if re.fullmatch("[0-9a-f]{64}", stored.name) and file_hash(stored) != stored.name:
        raise wrong_hash(stored)


LIBRARIES.register("timm")(
    Library(
        names=names,
        build=build,
        fetch=fetch,
        resnets=resnets,
        families=(
            *("resnet", "resnext", "wide_resnet", "resnetaa", "resnetblur", "resnetrs", "seresnet", "ecaresnet"),
            *("senet", "resnetv2", "legacy_seresnet"),
        ),
        without_batchnorm=WITHOUT_BATCHNORM,
        tagged=True,
        normalization=normalization,
    )
)
