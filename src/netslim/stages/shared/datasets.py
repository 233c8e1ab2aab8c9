"""The data set that a stage opens: which one, from where, and whether a network is for it."""

import dataclasses
from pathlib import Path
from typing import Any

from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError, UsageError, setting, with_article
from netslim.core.networks.example import inputs_to_dict
from netslim.core.plugins.references import is_reference, load_reference
from netslim.core.schemas import DatasetFacts, as_model
from netslim.core.variables import DATA, data_folder
from netslim.data import AnyDataset, ImageDataset, UserDataset, load_dataset, open_user_data
from netslim.stages.shared.config import SEED, ImagesConfig, JudgedConfig
from netslim.stages.shared.networks import arguments_of, name_of


def dataset_name(checkpoint: Checkpoint) -> str | None:
    """The data set that a file says its network is for."""
    name = (checkpoint.dataset or {}).get("name") or checkpoint.extra.get("dataset")
    return str(name) if name is not None else None


def required_dataset(given: str | None, checkpoint: Checkpoint, path: Path) -> str:
    """The data set that was given, else the one that the file in `path` names. Raises UsageError if neither does."""
    name = given or dataset_name(checkpoint)
    if name is None:
        raise UsageError(f"{path} names no data set; type `dataset=NAME`")
    return name


def data_directory(given: Path | None) -> Path:
    """The folder of the data sets: what was given, else where they are kept."""
    return given or data_folder() or DATA


def open_any(name: str, config: JudgedConfig, facts: dict[str, Any] | None = None) -> AnyDataset:
    """The data set that a configuration names, registered or of the user's own; see `open_dataset`.

    Raises:
        UsageError: the user's own that a file alone names.
    """
    if not is_reference(name):
        return open_dataset(name, config, facts)
    if name != getattr(config, "dataset", None):
        raise UsageError(f"the file names the data set {name}: type {setting('dataset', name)} to run it")
    offered = {
        "data_dir": config.data_dir or data_folder(),
        "image_size": config.image_size,
        "seed": getattr(config, "seed", SEED),
    }
    return open_user_data(load_reference("dataset", name), offered, config.workers)


def open_dataset(name: str, config: ImagesConfig, facts: dict[str, Any] | None = None) -> ImageDataset:
    """The data set that a configuration names; with `facts` from a checkpoint, normalised as the network learnt it.

    A file that names no data set may still say how its network's images were normalised.
    """
    facts = facts or {}
    size = config.image_size or (facts["image_size"][0] if facts.get("resized") and "image_size" in facts else None)
    dataset = load_dataset(
        name, data_directory(config.data_dir), image_size=size, unverified_data=config.unverified_data
    )
    mean, std = facts.get("mean", ()), facts.get("std", ())
    if facts.get("name", name) != name or not len(mean) == len(std) == dataset.in_channels:
        return dataset
    return dataclasses.replace(dataset, mean=tuple(mean), std=tuple(std))


def normalization_of(facts: dict[str, Any] | None) -> dict[str, Any]:
    """What facts from a checkpoint say of how images are normalised, and of which data set that is said."""
    return {name: value for name, value in (facts or {}).items() if name in ("name", "mean", "std")}


def said_of_images(said: Any) -> DatasetFacts:
    """What a file says of its images; nothing where that makes no sense, as in a file of others."""
    try:
        return as_model(DatasetFacts, said or {})
    except ValueError:
        return DatasetFacts()


def shown_normalization(said: Any) -> str:
    """How a file says that images are normalised, for people; empty if it does not."""
    facts = said_of_images(said)
    known = {"mean": facts.mean, "std": facts.std}
    texts = [f"{name} {', '.join(f'{value:.3g}' for value in values)}" for name, values in known.items() if values]
    return ", ".join(texts)


def known_facts(checkpoint: Checkpoint, dataset: AnyDataset | None, config: ImagesConfig) -> dict[str, Any] | None:
    """What a file says of a data set, and what it leaves open as the one at hand has it."""
    return {**(dataset_facts(dataset, config) if dataset else {}), **(checkpoint.dataset or {})} or None


def dataset_facts(dataset: AnyDataset, config: ImagesConfig) -> dict[str, Any]:
    """What a checkpoint says of the data set, so that the network can be used without it."""
    if isinstance(dataset, UserDataset):
        shape: dict[str, Any] = {"in_channels": dataset.in_channels, "image_size": list(dataset.image_size)}
        if dataset.inputs is not None:
            shape = {"inputs": inputs_to_dict(dataset.inputs)}
        return {
            "name": dataset.name,
            "class_names": list(dataset.class_names),
            **shape,
            "sha256": dataset.sha256,
        }
    return {
        "name": dataset.name,
        "class_names": list(dataset.class_names),
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "in_channels": dataset.in_channels,
        "image_size": list(dataset.image_size),
        "resized": config.image_size is not None,
    }


def check_fits(model: nn.Module, dataset: AnyDataset, origin: str) -> None:
    """Raises CheckpointError if the network takes other images or has other classes than the data set."""
    for name, there in (("num_classes", dataset.num_classes), ("in_channels", dataset.in_channels)):
        here = arguments_of(model).get(name)
        if None not in (here, there) and here != there:
            raise CheckpointError(
                f"{origin} holds {with_article(name_of(model))} with {name} {here}; the data set {dataset.name} has "
                f"{there}"
            )
