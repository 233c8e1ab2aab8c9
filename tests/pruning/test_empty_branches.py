"""Blocks that lose all channels of a group are their shortcuts alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import netslim
from netslim.core.errors import UsageError
from netslim.core.protocols import GroupPlan, PrunableModel, PrunePlan
from netslim.models import build, create_model, recognise
from netslim.network import load_weights
from netslim.pruning import absorb_
from pruning.networks import EXAMPLE, randomised, resnet

IMAGES = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def emptied(plan: PrunePlan, *names: str) -> PrunePlan:
    return replace(plan, groups=tuple(replace(g, keep=()) if g.name in names else g for g in plan.groups))


def library(name: str) -> PrunableModel:
    torch.manual_seed(0)
    return randomised(create_model(name, num_classes=3, in_channels=1, stem="cifar"))


@pytest.mark.parametrize("group", ["bn1", "bn2", "bn3"])
def test_one_empty_group_empties_its_block(group: str, tmp_path: Path) -> None:
    model = resnet(20)
    small = netslim.apply(
        model, emptied(netslim.plan(model, EXAMPLE, percent=0.3), f"layer2.1.{group}", "layer3.0.bn2")
    )
    assert small.cfg[9:15] == [0, 0, 0, 0, 0, 0]
    assert small.cfg == [len(part.keep) for part in small.plan.groups]
    assert not [key for key in small.state_dict() if key.startswith("layer2.1.")]
    assert [key for key in small.state_dict() if key.startswith("layer3.0.")] == ["layer3.0.downsample.0.weight"]
    stream = torch.randn(1, 128, 4, 4)
    assert small.layer2[1](stream) is stream
    assert netslim.verify(model, small, IMAGES).holds
    netslim.save(tmp_path / "n.pth.tar", small)
    again = netslim.load(tmp_path / "n.pth.tar")
    assert (again.cfg, again.plan) == (small.cfg, small.plan)
    assert torch.equal(again(IMAGES), small(IMAGES))


def test_bare_weights_of_a_network_with_an_empty_block() -> None:
    model = resnet(20)
    small = netslim.apply(model, emptied(netslim.plan(model, EXAMPLE, percent=0.3), "layer1.0.bn1", "layer3.1.bn1"))
    found = recognise(small.state_dict())
    assert found is not None
    assert (found.arguments["depth"], found.arguments["cfg"]) == (20, small.cfg)
    again = build(found).eval()
    load_weights(again, small.state_dict(), "the pruned one")
    assert torch.equal(again(IMAGES), small(IMAGES))
    assert netslim.verify(again, netslim.apply(again, netslim.plan(again, EXAMPLE, percent=0.3)), IMAGES).holds


def test_a_network_with_an_empty_block_is_pruned_on_and_trained() -> None:
    model = resnet(20)
    once = netslim.apply(model, emptied(netslim.plan(model, EXAMPLE, percent=0.3), "layer2.1.bn2"))
    twice = netslim.apply(once, netslim.plan(once, EXAMPLE, percent=0.3))
    assert [part.name for part in twice.plan.groups] == [part.name for part in once.plan.groups]
    assert twice.cfg[9:12] == [0, 0, 0]
    assert netslim.verify(model, twice, IMAGES).holds
    assert once.plan is not None
    parts = tuple(GroupPlan(name=p.name, total=p.total, keep=p.keep or (2,)) for p in once.plan.groups)
    with pytest.raises(UsageError) as caught:
        netslim.apply(once, replace(once.plan, groups=parts))
    assert str(caught.value) == "the plan keeps channel 2 of group 'layer2.1.bn1', which was removed before"
    twice.train()(IMAGES).sum().backward()
    assert all(p.grad is not None for p in twice.parameters())


def test_the_constant_of_an_empty_block_is_absorbed() -> None:
    model = resnet(11)
    decided = emptied(netslim.plan(model, EXAMPLE, percent=0), "layer3.0.bn1")
    small = netslim.apply(model, decided)
    found = absorb_(small, model, EXAMPLE)
    assert [layer.name for layer in found.layers] == ["bn"]
    assert found.before > 1e-3
    assert found.after < 1e-5  # what the block adds comes out of a 1x1 convolution


@pytest.mark.parametrize(
    ("name", "groups", "gone"),
    [
        ("torchvision/resnet18", ("layer1.0.bn1", "layer2.0.bn1"), "layer2.0.conv1.weight"),
        ("timm/resnetv2_50", ("stages.0.blocks.0.norm2", "stages.1.blocks.0.norm3"), "stages.1.blocks.0.conv2.weight"),
    ],
)
def test_a_librarys_block(name: str, groups: tuple[str, ...], gone: str, tmp_path: Path) -> None:
    model = library(name)
    small = netslim.apply(model, emptied(netslim.plan(model, EXAMPLE, percent=0.2), *groups))
    assert gone in model.state_dict()
    assert gone not in small.state_dict()
    for images in (IMAGES, torch.randn(1, 1, 13, 9)):  # strides round up
        assert netslim.verify(model, small, images).holds
    assert small.cfg == [len(part.keep) for part in small.plan.groups]
    assert 0 in small.cfg
    netslim.save(tmp_path / "n.pth.tar", small)
    assert torch.equal(netslim.load(tmp_path / "n.pth.tar")(IMAGES), small(IMAGES))
    small.train()(torch.randn(4, 1, 8, 8)).sum().backward()


def test_what_a_network_can_not_do_without() -> None:
    model = resnet(11)
    assert [group.name for group in model.channel_groups() if not group.branch is not None] == ["bn"]
    with pytest.raises(UsageError) as caught:
        netslim.apply(model, emptied(netslim.plan(model, EXAMPLE, percent=0.3), "bn"))
    assert str(caught.value) == (
        "the plan leaves nothing of group 'bn', which is in no residual branch that could go as a whole; keep a "
        "channel of it (`min_channels=1`)"
    )


@pytest.mark.parametrize("cfg", [[0, 8, 8], [8, 0, 8], [8, 8, 0], [0, 0, 8]])
def test_a_block_is_empty_as_a_whole_or_not_at_all(cfg: list[int]) -> None:
    with pytest.raises(UsageError, match=r"^cfg\[\d\] is 0; a ResNet of depth 11 allows 1 to 16 there$"):
        create_model("resnet", depth=11, cfg=[*cfg, 64, 32, 32, 128, 64, 64, 256])


def test_widths_of_zero_build_a_network() -> None:
    model = create_model("resnet", depth=11, in_channels=1, cfg=[0, 0, 0, 64, 32, 32, 0, 0, 0, 256])
    assert model.cfg == [0, 0, 0, 64, 32, 32, 0, 0, 0, 256]
    assert not hasattr(model.layer1[0], "conv1")
    assert isinstance(model.layer2[0].conv1, nn.Conv2d)
    assert model(IMAGES).shape == (2, 10)


def test_min_channels_zero_lets_blocks_go() -> None:
    model = resnet(20)
    for block in ("layer1.1", "layer3.1"):
        for norm in ("bn1", "bn2", "bn3"):
            nn.init.constant_(model.get_submodule(f"{block}.{norm}").weight, 1e-6)
    decided = netslim.plan(model, EXAMPLE, percent=0.5, min_channels=0)
    small = netslim.apply(model, decided)
    assert small.plan == decided
    assert small.cfg[3:6] == small.cfg[15:18] == [0, 0, 0]
    assert netslim.verify(model, small, IMAGES).holds
    assert netslim.measure(small, EXAMPLE) == decided.after
