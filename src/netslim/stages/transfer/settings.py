"""What the settings of a transfer come to, checked against each other before any weights are opened."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from netslim.core.errors import ArgumentError, UsageError, either, setting
from netslim.core.files import check_writable
from netslim.core.protocols import Normalization, PrunableModel
from netslim.data import ImageDataset, at_hand, fixed_shape
from netslim.models import ARCHITECTURES
from netslim.models.library_names import check_classifier, check_resnet, without_tag
from netslim.models.registry import LIBRARIES, library_networks
from netslim.report.figures.mapping import picture_format
from netslim.stages.shared.architectures import fresh_model, is_library
from netslim.stages.shared.datasets import data_directory, open_dataset
from netslim.stages.transfer.config import DEFAULT_STRATEGY, TransferConfig
from netslim.transfers import STRATEGIES, Strategy
from netslim.transfers.head import classifiers
from netslim.transfers.strategies.select import SelectOptions, select

DEFAULT_DATASET = "cifar10"  # of arch resnet: the guide's
DEFAULT_BATCHES = 20

ALLOWED = {
    "head": ("zero", "random", "means"),
    "last_stage": ("drop", "merge"),
    "select_by": ("spacing", "importance"),
}


@dataclass(frozen=True, kw_only=True)
class TransferSettings:
    """The settings with their defaults filled in.

    Attributes:
        arch: name of the target's architecture.
        dataset: what the target is for, or None: the source's classes and channels stay.
        num_classes, in_channels: as far as a setting or the data set says them.
        strategy: name of the strategy.
        batches: how many batches of training images BatchNorm statistics come from; 0 for none.
        images: whether training images of the data set are there.
        unchanged: whether the target is the source's own network from its first layer on.
        normalization: of the images that the source learnt, where the target is its own network for such images.
        opened: the data set, where its shape was not known without a look at it.
    """

    arch: str
    dataset: str | None
    num_classes: int | None
    in_channels: int | None
    strategy: str
    batches: int
    images: bool
    unchanged: bool
    normalization: Normalization | None
    opened: ImageDataset | None = None

    @property
    def shape(self) -> dict[str, int]:
        """The arguments of `create_model` that are known."""
        found = {"num_classes": self.num_classes, "in_channels": self.in_channels}
        return {name: number for name, number in found.items() if number is not None}


def check(config: TransferConfig) -> None:
    """Raises UsageError for names that there are not: by a recipe, before anything is fetched or trained."""
    _check_values(config)
    if config.source in LIBRARIES.names():
        check_classifier(config.source, without_tag(config.source, config.model_name))


def resolve(config: TransferConfig) -> TransferSettings:
    """Fills in the defaults.

    Raises:
        UsageError: an unknown name, an impossible depth, or settings that contradict each other or need images that
            are not there.
        DataError: the images that say the shape are missing or damaged.
        NetslimError: an output can't be written.
    """
    _check_values(config)
    known = config.source in LIBRARIES.names()
    name = without_tag(config.source, config.model_name) if known else config.model_name
    arch = f"{config.source}/{name}" if config.arch == "same" else config.arch
    if not is_library(arch) and known:
        check_resnet(config.source, name, "`model_name='resnet50'`")
    dataset = config.dataset or (None if is_library(arch) else DEFAULT_DATASET)
    strategy = config.strategy or ("exact" if is_library(arch) else DEFAULT_STRATEGY)
    STRATEGIES.get(strategy)
    images = dataset is not None and at_hand(dataset, data_directory(config.data_dir))
    opened = _opened(config, dataset, images)
    classes, channels = _shape(config, dataset, opened)
    same_images = strategy == "exact" and channels in (None, 3)
    unchanged = same_images and config.stem in (None, "imagenet")
    default = DEFAULT_BATCHES if images and not unchanged else 0
    settings = TransferSettings(
        arch=arch,
        dataset=dataset,
        num_classes=classes,
        in_channels=channels,
        strategy=strategy,
        batches=config.recalibrate if config.recalibrate is not None else default,
        images=images,
        unchanged=unchanged,
        normalization=_learnt(config, name) if same_images and known else None,
        opened=opened,
    )
    _check_options(config, settings)
    for path in (config.output, config.report, config.plot):
        if path is not None:
            check_writable(path)
    return settings


def _learnt(config: TransferConfig, name: str) -> Normalization | None:
    """How the images were normalised that the source's weights learnt from, if it has any. Raises UsageError."""
    check_classifier(config.source, name)
    return LIBRARIES.get(config.source).normalization(config.model_name) if config.pretrained else None


def strategy_of(config: TransferConfig, settings: TransferSettings) -> str | Strategy:
    """What `transfer` is given: the strategy's name, or the strategy with the options that were typed."""
    options = _select_options(config)
    if not options:
        return settings.strategy
    with_options: Any = select  # it takes more than a strategy has to
    return functools.partial(with_options, options=SelectOptions(**options))


def build_target(
    config: TransferConfig, settings: TransferSettings, kept: dict[str, int] | None = None
) -> PrunableModel:
    """A new network of the chosen architecture; `kept` is what stays as in the source where nothing else is given."""
    return fresh_model(settings.arch, config.depth, config.stem, **{**(kept or {}), **settings.shape})


def classifier_key(config: TransferConfig, settings: TransferSettings) -> str:
    """Name of the classifier's weight in the target's state dict: in a library's network also the source's."""
    # A wrong depth must not be found after a download. On "meta" nothing is allocated, but torch takes seconds to get
    # ready for it: only where the network is large.
    with torch.device("meta") if is_library(settings.arch) else nullcontext():
        return f"{next(iter(classifiers(build_target(config, settings))))}.weight"


def _check_values(config: TransferConfig) -> None:
    for name, allowed in ALLOWED.items():
        given = getattr(config, name)
        if given is not None and given not in allowed:
            raise ArgumentError(name, given, f"type {either(allowed)}")
    others = [name for name in ARCHITECTURES.names() if not ARCHITECTURES.get(name).takes_resnets]
    if config.arch in others:
        fitting = [*(name for name in ARCHITECTURES.names() if name not in others), "same", *library_networks()]
        raise ArgumentError("arch", config.arch, f"a ResNet's weights have no place in it; type {either(fitting)}")
    if config.plot is not None:
        picture_format(config.plot)


def _opened(config: TransferConfig, dataset: str | None, images: bool) -> ImageDataset | None:
    """A data set that only its files say the shape of, if they are there or the shape is needed."""
    if dataset is None or fixed_shape(dataset):
        return None
    known = config.num_classes is not None and config.in_channels is not None
    return None if known and not images else open_dataset(dataset, config)


def _shape(config: TransferConfig, dataset: str | None, opened: ImageDataset | None) -> tuple[int | None, int | None]:
    """Number of classes and input channels, from the data set or the settings."""
    asked = config.num_classes, config.in_channels
    if dataset is None:
        return asked
    shape = (opened.num_classes, opened.in_channels) if opened else fixed_shape(dataset)
    if shape is None:
        return asked
    check_shape(dataset, shape, asked)
    return shape


def check_shape(dataset: str, has: tuple[int, int], asked: tuple[int | None, int | None]) -> None:
    """Raises UsageError if (classes, channels) of a data set are not those that were asked for."""
    for name, there, here in zip(("num_classes", "in_channels"), has, asked, strict=True):
        if here is not None and there != here:
            raise ArgumentError(name, here, f"the data set {dataset} has {there}; type {setting(name, there)}")


def _check_options(config: TransferConfig, settings: TransferSettings) -> None:
    if settings.strategy != "select":
        for name, value in _select_options(config).items():
            why = f"strategy {settings.strategy} has no such choice; type `strategy='select'` with it"
            raise ArgumentError(name, value, why)
    needs = [setting("recalibrate", config.recalibrate)] if config.recalibrate else []
    needs += [setting("head", config.head)] if config.head == "means" else []
    if needs and not settings.images:
        raise UsageError(f"{needs[0]} needs training images; {missing_images(config, settings)}")


def missing_images(config: TransferConfig, settings: TransferSettings) -> str:
    """Why there are none, and what to type."""
    if settings.dataset is None:
        return "no data set is named: type `dataset=NAME` `data_dir=DIR`"
    return f"no data at hand for {settings.dataset} (looked in {data_directory(config.data_dir)}): type `data_dir=DIR`"


def _select_options(config: TransferConfig) -> dict[str, Any]:
    given = {"last_stage": config.last_stage, "select_by": config.select_by}
    return {name: value for name, value in given.items() if value is not None}
