"""What several stages open before they work: a device, a data set, and the facts of it that go into a checkpoint."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import UsageError
from netslim.core.launch import launched, local_rank
from netslim.core.protocols import PrunableModel
from netslim.data import ImageDataset, load_dataset
from netslim.stages.shared.config import DataConfig


def pick_device(name: str) -> torch.device:
    """`auto` (the GPU if there is one), `cpu`, `cuda` or `cuda:N`. Raises UsageError for anything else."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: type auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: type auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and launched():
        return _own_gpu(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: torch sees {torch.cuda.device_count()} CUDA devices; type --device cpu")
    return device


def _own_gpu(name: str) -> torch.device:
    """The GPU of this process among several: the one that has its number."""
    if name != "cuda":
        raise UsageError(f"--device {name}: each process takes its own GPU; type --device cuda, or start one process")
    if local_rank() >= torch.cuda.device_count():
        raise UsageError(
            f"{local_rank() + 1} processes or more on a machine where torch sees {torch.cuda.device_count()} CUDA "
            f"devices; type torchrun --nproc-per-node {torch.cuda.device_count()}, or --device cpu"
        )
    return torch.device("cuda", local_rank())


def dataset_name(checkpoint: Checkpoint) -> str | None:
    """The data set that a file says its network is for."""
    name = (checkpoint.dataset or {}).get("name") or checkpoint.extra.get("dataset")
    return str(name) if name is not None else None


def data_directory(config: DataConfig) -> Path:
    """The folder of the data sets."""
    return config.data_dir or Path(os.environ.get("NETSLIM_DATA_DIR") or "data")


def open_dataset(name: str, config: DataConfig, facts: dict[str, Any] | None = None) -> ImageDataset:
    """The data set that a configuration names; with `facts` from a checkpoint, normalised as the network learnt it."""
    size = config.image_size or (facts["image_size"][0] if facts and facts.get("resized") else None)
    dataset = load_dataset(name, data_directory(config), image_size=size, unverified=config.unverified_data)
    if facts and facts.get("name") == name:
        return dataclasses.replace(dataset, mean=tuple(facts["mean"]), std=tuple(facts["std"]))
    return dataset


def dataset_facts(dataset: ImageDataset, config: DataConfig) -> dict[str, Any]:
    """What a checkpoint says of the data set, so that the network can be used without it."""
    return {
        "name": dataset.name,
        "class_names": list(dataset.class_names),
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "in_channels": dataset.in_channels,
        "image_size": list(dataset.image_size),
        "resized": config.image_size is not None,
    }


def example_input(model: PrunableModel, facts: dict[str, Any] | None, batch: int = 2) -> Tensor:
    """Random images of the shape that a network was trained on.

    Where its file does not say: 224 x 224 for a network with an ImageNet stem, else 32 x 32.
    """
    arguments = model.arch.arguments
    side = 224 if arguments.get("stem") == "imagenet" else 32
    height, width = (facts or {}).get("image_size", (side, side))
    channels = arguments.get("in_channels", 3)
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(0))
