"""Strategy select as a plug-in: its report, what it leaves alone, and what it refuses."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from source_networks import SmallResNet, library_state
from torch import Tensor, nn
from torchvision import models

import netslim
from netslim.core.errors import UsageError
from netslim.core.protocols import PrunableModel
from netslim.models import create_model
from netslim.transfers import load_source, transfer
from netslim.transfers.strategies.select import SelectOptions, select

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def resnet(depth: int) -> PrunableModel:
    torch.manual_seed(1)
    return create_model("resnet", depth=depth, num_classes=4)


ROLES = {
    "conv1.weight": "stem",
    "layer1.0.bn1.weight": "stream norm",
    "layer1.0.select.indexes": "selection",
    "layer1.0.conv1.weight": "reduce 1x1",
    "layer1.0.bn2.bias": "inner norm",
    "layer1.0.conv2.weight": "spatial 3x3",
    "layer1.0.bn3.running_var": "inner norm",
    "layer1.0.conv3.weight": "expand 1x1",
    "layer1.0.downsample.0.weight": "projection",
    "bn.weight": "stream norm",
    "select.indexes": "selection",
    "fc.weight": "head",
}


@pytest.mark.parametrize("source", ["resnet18", "resnet50"])
@pytest.mark.parametrize("last_stage", ["drop", "merge"])
def test_every_key_has_role_operation_and_reason(source: str, last_stage: str) -> None:
    strategy = partial(select, options=SelectOptions(last_stage=last_stage))
    state = library_state("torchvision", source)
    _, report = transfer(state, resnet(38), strategy)
    assert all(entry.role and entry.operation and entry.reason for entry in report.statuses)
    assert {entry.operation for entry in report.statuses if entry.status == "unmapped"} == {"new"}
    operations = {entry.operation for entry in report.statuses if entry.status == "mapped"}
    assert operations == {"sliced", "folded"} | ({"factored"} if source == "resnet18" else set())
    assert all((entry.source_key in state) == (entry.status == "mapped") for entry in report.statuses)
    roles = {entry.key: entry.role for entry in report.statuses}
    assert {key: roles[key] for key in ROLES} == ROLES


def test_the_report_names_the_strategy_that_was_given() -> None:
    state, target = SmallResNet(1).state_dict(), resnet(11)

    class Own:
        def __call__(self, source: object, target: PrunableModel) -> object:
            return select(state, target)

    def name(strategy: Any) -> str:
        return transfer(state, target, strategy)[1].strategy

    assert name("select") == name(select) == name(partial(select, options=SelectOptions())) == "select"
    assert name(Own()) == "Own"
    assert name(lambda source, target: select(source, target)) == "<lambda>"


def test_a_strategy_and_its_name_do_the_same(resnet18: dict[str, Tensor]) -> None:
    by_name, by_function = (transfer(resnet18, resnet(11), one)[0].state_dict() for one in ("select", select))
    assert all(torch.equal(tensor, by_function[key]) for key, tensor in by_name.items())


def same(one: nn.Module, other: nn.Module) -> bool:
    state = other.state_dict()
    return all(torch.equal(tensor, state[key]) for key, tensor in one.state_dict().items())


def test_images_change_nothing_for_strategies_that_know_no_moments(resnet18: dict[str, Tensor]) -> None:
    library = create_model("torchvision/resnet18", num_classes=4)
    for strategy, target in (("guide", resnet(11)), ("exact", library)):
        with_images, report = transfer(resnet18, target, strategy, [IMAGES])
        without, expected = transfer(resnet18, target, strategy)
        assert same(with_images, without)
        assert report == expected


def test_images_change_scales_not_the_report() -> None:
    state = SmallResNet(1).state_dict()
    with_images, report = transfer(state, resnet(11), "select", [IMAGES])
    without, expected = transfer(state, resnet(11), "select")
    empty, _ = transfer(state, resnet(11), "select", [])
    assert report == expected
    assert same(empty, without)
    assert not same(with_images, without)


def test_neither_source_nor_target_nor_images_change() -> None:
    source, target, images = SmallResNet(2), resnet(29), IMAGES.clone()
    before, ours = SmallResNet(2), resnet(29)
    model, _ = transfer(source.state_dict(), target, "select", [images])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert same(source, before)
    assert same(target, ours)
    assert target.training
    assert torch.equal(images, IMAGES)


def test_a_loaded_source_is_described() -> None:
    source = load_source("torchvision", "resnet18", pretrained=False)
    report = transfer(source, resnet(11), "select")[1]
    assert report.source == source.describe()


WRONG_TARGET = (
    "strategy 'select' fills the unpruned pre-activation ResNet: type `arch='resnet'`, or `strategy='exact'` for the "
    "source's own network"
)


def pruned() -> PrunableModel:
    model = resnet(11)
    return netslim.apply(model, netslim.plan(model, IMAGES[:1], percent=0.3))


@pytest.mark.parametrize(
    "target",
    [
        lambda: create_model("torchvision/resnet18", num_classes=4),
        lambda: create_model("resnet", depth=11, cfg=[8] * 10),
        pruned,
    ],
    ids=["a library's network", "a narrower one", "a pruned one"],
)
def test_another_target_is_refused(target: Callable[[], PrunableModel], resnet18: dict[str, Tensor]) -> None:
    with pytest.raises(UsageError) as error:
        transfer(resnet18, target(), "select")
    assert str(error.value) == WRONG_TARGET


def test_another_source_is_refused() -> None:
    with torch.device("meta"):
        state = models.vgg11().state_dict()
    with pytest.raises(UsageError, match=r"^the source is not a ResNet: it has no layer1\.0\.conv1\.weight"):
        transfer(state, resnet(11), "select")
