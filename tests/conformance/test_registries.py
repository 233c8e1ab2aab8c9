"""What every plug-in must do, whatever it is called: a new one is tested as soon as it is registered.

An architecture that cannot be built without arguments, or is large, gets small ones in `SMALL`; a data set that needs
files gets a writer of a tiny version in `FILES`.
"""

import dataclasses
import inspect
import json
import pickle
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models

import netslim
from netslim.core.errors import UsageError
from netslim.core.plugins.declarations import Kind
from netslim.core.plugins.registry import Registry
from netslim.core.protocols import PrunableModel
from netslim.data import load_dataset
from netslim.data.cifar import CIFAR10, CIFAR100, CifarRelease
from netslim.data.dataset import DATASETS, fixed_shape
from netslim.deploy import TARGETS as EXPORT_TARGETS
from netslim.deploy.target import Target
from netslim.models import ARCHITECTURES, ChannelSelection, build, create_model, recognise
from netslim.models.registry import LIBRARIES
from netslim.network import describe, load_weights
from netslim.pruning import plan_from_dict
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import Evidence
from netslim.stages.shared import plugins
from netslim.training.losses import LOSSES
from netslim.training.metrics import METRICS
from netslim.training.optimizers import OPTIMIZERS
from netslim.training.penalties import PENALTIES, no_penalty
from netslim.transfers import STRATEGIES

SMALL: dict[str, dict[str, Any]] = {
    "densenet": {"depth": 10},
    "resnet": {"depth": 11},
    "vgg": {"depth": 11, "cfg": [6, "M", 8, "M", 12, 9, "M", 16, 10, "M", 12, 20]},
}
HELP_DOES_NOT_SHOW = {"families", "without_batchnorm"}
IMAGES = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
LABELLED = (IMAGES, torch.tensor([0, 3]))

architectures = pytest.mark.parametrize("name", ARCHITECTURES.names())
criteria = pytest.mark.parametrize("name", CRITERIA.names())
datasets = pytest.mark.parametrize("name", DATASETS.names())
strategies = pytest.mark.parametrize("name", STRATEGIES.names())

# What strategies are tried on: netslim's own networks, and a library's that is the source's own.
TARGETS = [*ARCHITECTURES.names(), "torchvision/resnet18"]


def small(name: str, seed: int = 0) -> PrunableModel:
    """A small network of grey images with random scales, in eval mode."""
    torch.manual_seed(seed)
    model = create_model(name, num_classes=4, in_channels=1, **SMALL.get(name, {})).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model


def widths(model: PrunableModel) -> list[int]:
    """The network's widths; a VGG's list names its poolings, too."""
    return [entry for entry in model.cfg if isinstance(entry, int)]


REGISTRIES: dict[str, tuple[Registry[Any], Kind]] = {
    "architecture": (ARCHITECTURES, plugins.ARCHITECTURES),
    "criterion": (CRITERIA, plugins.CRITERIA),
    "data set": (DATASETS, plugins.DATASETS),
    "library": (LIBRARIES, plugins.LIBRARIES),
    "loss": (LOSSES, plugins.LOSSES),
    "metric": (METRICS, plugins.METRICS),
    "optimizer": (OPTIMIZERS, plugins.OPTIMIZERS),
    "penalty": (PENALTIES, plugins.PENALTIES),
    "target": (EXPORT_TARGETS, plugins.TARGETS),
    "transfer strategy": (STRATEGIES, plugins.STRATEGIES),
}
registries = pytest.mark.parametrize(("registry", "kind"), REGISTRIES.values(), ids=REGISTRIES)


def what_it_does(entry: Any) -> Any:
    """The first function or class of a record, or the entry itself."""
    if not dataclasses.is_dataclass(entry):
        return entry
    if isinstance(entry, Target):
        return type(entry)
    return next(value for field in dataclasses.fields(entry) if callable(value := getattr(entry, field.name)))


@registries
def test_names_can_be_typed_and_every_entry_says_what_it_is(registry: Registry[Any], kind: Kind) -> None:
    assert registry.names()
    for name in registry.names():
        assert name == name.lower()
        assert not set(name) & set(" /\\'\"=,")
        assert inspect.getdoc(what_it_does(registry.get(name))), name


@registries
def test_help_reads_from_the_source_what_an_import_gives(registry: Registry[Any], kind: Kind) -> None:
    assert kind.names() == registry.names()
    for name, declared in kind.declared().items():
        record = registry.get(name)
        assert not dataclasses.is_dataclass(record) or record.__dataclass_params__.frozen
        for field in dataclasses.fields(record) if dataclasses.is_dataclass(record) else ():
            value = getattr(record, field.name)
            plain = value != field.default and isinstance(value, str | bool | int | tuple)
            assert not plain or declared.get(field.name, value) == value
            assert not plain or field.name in declared or field.name in HELP_DOES_NOT_SHOW, (name, field.name)


# Architectures


@architectures
def test_an_architecture_is_built_by_name_alone(name: str) -> None:
    model = create_model(name)
    assert isinstance(model, PrunableModel)
    assert model.plan is None
    assert model.arch.name == name
    assert build(model.arch).state_dict().keys() == model.state_dict().keys()


@architectures
def test_an_architecture_describes_itself_as_plain_data(name: str) -> None:
    model = small(name)
    assert json.loads(json.dumps(model.arch.to_dict())) == model.arch.to_dict()
    again = build(model.arch)
    load_weights(again, model.state_dict(), "itself")
    with torch.no_grad():
        logits = model(IMAGES)
        assert torch.equal(again.eval()(IMAGES), logits)
    assert logits.shape == (2, 4)


@architectures
def test_the_groups_of_an_architecture_name_real_modules(name: str) -> None:
    model = small(name)
    groups = model.channel_groups()
    assert len({group.name for group in groups}) == len(groups) > 0
    for group, width in zip(groups, widths(model), strict=True):
        scales = [model.get_submodule(scale) for scale in group.scales]
        assert all(isinstance(scale, nn.BatchNorm2d) and scale.num_features == width for scale in scales)
        for producer in group.producers:
            assert model.get_submodule(producer).weight.shape[0] == width
        assert group.consumers
        for consumer in group.consumers:
            assert model.get_submodule(consumer.module).weight.shape[1] == width * consumer.repeat
        if group.selection is not None:
            assert not group.producers
            assert isinstance(model.get_submodule(group.selection), ChannelSelection)
    scored = [scale for group in groups for scale in group.scales]
    assert len(set(scored)) == len(scored)


@architectures
def test_an_architecture_is_recognised_pruned_or_not_and_by_itself_alone(name: str) -> None:
    model = small(name)
    assert recognise(model.state_dict()) == model.arch
    pruned = netslim.apply(model, netslim.plan(model, IMAGES[:1], percent=0.5))
    found = recognise(pruned.state_dict())
    assert found is not None
    again = build(found).eval()
    load_weights(again, pruned.state_dict(), "the pruned one")
    assert torch.equal(again(IMAGES), pruned(IMAGES))
    for other in ARCHITECTURES.names():
        reader = ARCHITECTURES.get(other).recognise
        assert reader is None or (reader(model.state_dict()) is None) is (other != name)


@architectures
@pytest.mark.parametrize("percent", [0, 0.5, 0.9])
def test_an_architecture_is_pruned_saved_and_reopened(name: str, percent: float, tmp_path: Path) -> None:
    model = small(name)
    plan = netslim.plan(model, IMAGES[:1], percent=percent)
    assert plan_from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    pruned = netslim.apply(model, plan)
    assert netslim.verify(model, pruned, IMAGES).agrees
    assert widths(pruned) == [len(group.keep) for group in plan.groups]
    assert netslim.measure(pruned, IMAGES) == plan.after
    netslim.save(tmp_path / "n.pth.tar", pruned)
    again = netslim.load(tmp_path / "n.pth.tar")
    assert again.plan == plan
    assert torch.equal(again(IMAGES), pruned.eval()(IMAGES))
    assert describe(again).cfg == pruned.cfg


@architectures
def test_every_parameter_of_an_architecture_learns(name: str) -> None:
    model = small(name).train()
    model(IMAGES).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


# Criteria


@criteria
@pytest.mark.parametrize("architecture", ARCHITECTURES.names())
def test_a_criterion_scores_every_channel(name: str, architecture: str) -> None:
    model = small(architecture)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    criterion, groups = CRITERIA.get(name), model.channel_groups()
    macs = {group.name: 100.0 for group in groups}
    score = criterion.scorer(name, model, Evidence(groups=groups, macs=macs, seed=1, batches=[LABELLED]))
    for group, width in zip(groups, widths(model), strict=True):
        scores = score(model, group)
        assert scores.shape == (width,)
        assert scores.is_floating_point()
        assert scores.isfinite().all()
        assert torch.equal(score(model, group), scores)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@criteria
def test_a_criterion_can_be_asked_for_by_name(name: str) -> None:
    model = small("resnet")
    plan = netslim.plan(model, IMAGES[:1], percent=0.5, criterion=name, batches=[LABELLED])
    assert plan.criterion == name
    assert netslim.verify(model, netslim.apply(model, plan), IMAGES).agrees


# Penalties


@pytest.mark.parametrize("name", PENALTIES.names())
def test_a_penalty_moves_small_scales_towards_zero_and_nothing_else(name: str) -> None:
    model = small("resnet").train()
    model(IMAGES).square().sum().backward()
    scales = {f"{key}.weight" for key, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    penalty = PENALTIES.get(name).build(model, 1e-3)
    penalty.before_step_()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.sub_(parameter.grad)
    penalty.after_step_(1.0)
    for key, value in model.named_parameters():
        if key in scales:
            low = (before[key].abs() > 0.01) & (before[key].abs() < 0.1)
            assert bool((value[low].abs() < before[key][low].abs()).all())
        else:
            assert torch.equal(value, before[key]), key
    assert no_penalty(model).value() == 0


# Data sets


def write_cifar(root: Path, release: CifarRelease, classes: int) -> None:
    folder = root / release.folder
    folder.mkdir(parents=True)
    for file in (*release.train, *release.test):
        content = {"data": np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072), release.labels_key: [0, 1]}
        (folder / file).write_bytes(pickle.dumps(content))
    for file in release.meta:
        (folder / file).write_bytes(pickle.dumps({release.names_key: [f"class {i}" for i in range(classes)]}))


def write_fashion_mnist(root: Path) -> None:
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = struct.pack(">4B3I", 0, 0, 8, 3, 2, 28, 28) + bytes(i % 256 for i in range(2 * 784))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 2) + b"\0\1")


def write_folder(root: Path) -> None:
    for part in ("train", "test"):
        for value, label in enumerate(("cat", "dog")):
            (root / part / label).mkdir(parents=True)
            for index in range(2):
                pixels = (np.arange(8 * 8 * 3) * (index + 1) + value).astype(np.uint8).reshape(8, 8, 3)
                Image.fromarray(pixels).save(root / part / label / f"{index}.png")


FILES: dict[str, Callable[[Path], None]] = {
    "cifar10": lambda root: write_cifar(root, CIFAR10, 10),
    "cifar100": lambda root: write_cifar(root, CIFAR100, 100),
    "digits": lambda root: None,
    "fashion-mnist": write_fashion_mnist,
    "folder": write_folder,
}


@datasets
def test_a_data_set_keeps_its_contract(name: str, tmp_path: Path) -> None:
    FILES[name](tmp_path)
    dataset = load_dataset(name, tmp_path, unverified_data=True)
    assert dataset.name == name
    for split in (dataset.train, dataset.test):
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64
        assert split.images.shape == (len(split), dataset.in_channels, *dataset.image_size)
        assert len(split) > 0
        assert set(split.labels.tolist()) <= set(range(dataset.num_classes))
    assert len(set(dataset.class_names)) == dataset.num_classes
    assert len(dataset.mean) == len(dataset.std) == dataset.in_channels
    assert all(0 < mean < 1 for mean in dataset.mean)
    assert all(0 < std < 1 for std in dataset.std)
    assert 0 <= dataset.augmentation.pad < min(dataset.image_size)
    assert fixed_shape(name) in (None, (dataset.num_classes, dataset.in_channels))


@datasets
def test_a_network_fits_a_data_set(name: str, tmp_path: Path) -> None:
    FILES[name](tmp_path)
    dataset = load_dataset(name, tmp_path, unverified_data=True)
    model = create_model("resnet", depth=11, num_classes=dataset.num_classes, in_channels=dataset.in_channels)
    assert model(dataset.test.images[:2].float()).shape == (2, dataset.num_classes)


# Transfer strategies


@pytest.fixture(scope="module")
def source() -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(18)
        return models.resnet18(weights=None).state_dict()


@strategies
def test_a_strategy_is_for_at_least_one_network(name: str, source: dict[str, Tensor]) -> None:
    """A refusal everywhere would leave the test below empty."""
    mapped = []
    for architecture in TARGETS:
        with suppress(UsageError):
            mapped += STRATEGIES.get(name)(source, small(architecture)).tensors
    assert mapped


@strategies
@pytest.mark.parametrize("architecture", TARGETS)
def test_a_strategy_says_what_it_does_and_does_it(name: str, architecture: str, source: dict[str, Tensor]) -> None:
    target = small(architecture)
    ours = {key: value.clone() for key, value in target.state_dict().items()}
    theirs = {key: value.clone() for key, value in source.items()}
    try:
        proposal = STRATEGIES.get(name)(source, target)
    except UsageError as refusal:
        pytest.skip(str(refusal))
    assert [entry.key for entry in proposal.statuses] == list(ours)
    statuses = {entry.key: entry.status for entry in proposal.statuses}
    assert {key for key, status in statuses.items() if status == "mapped"} <= set(proposal.tensors)
    assert "skipped" not in {statuses[key] for key in proposal.tensors}
    assert all(entry.operation and entry.reason for entry in proposal.statuses)
    assert len({bool(entry.role) for entry in proposal.statuses}) == 1  # a strategy goes by roles or it doesn't
    assert all((entry.operation == "new") == (entry.status != "mapped") for entry in proposal.statuses)
    assert all(
        entry.source_key in theirs for entry in proposal.statuses if entry.source_key or entry.status == "mapped"
    )
    for key, tensor in proposal.tensors.items():
        assert tensor.shape == ours[key].shape
        assert tensor.isfinite().all()
    modules = dict(target.named_modules())
    assert all(isinstance(modules[key], nn.Conv2d) for key in proposal.moments)
    assert all(isinstance(modules[key], nn.BatchNorm2d) for key in proposal.identities)
    moved, report = netslim.transfer(source, target, name)
    for key, tensor in moved.state_dict().items():
        assert torch.equal(tensor, proposal.tensors.get(key, ours[key])), key
    assert report.mapped + report.skipped + report.unmapped == len(ours)
    assert all(torch.equal(value, ours[key]) for key, value in target.state_dict().items())
    assert all(torch.equal(value, theirs[key]) for key, value in source.items())
