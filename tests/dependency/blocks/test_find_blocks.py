"""Blocks of networks that declare none."""

import pytest
import torch
from torch import nn

from netslim.core.networks.example import Inputs
from netslim.dependency.blocks.find_blocks import put_shortcuts_, with_blocks
from netslim.dependency.groups import groups_of

from .nets import Block, Gated, Net, net

INPUTS = Inputs.of(torch.zeros(2, 3, 12, 12))


def branches(model: nn.Module) -> dict[str, str | None]:
    found = with_blocks(model, groups_of(model, INPUTS), INPUTS)
    return {own.group.name: own.group.branch for own in found.groups}


def test_blocks_with_an_identity_beside_them_can_go() -> None:
    assert branches(net()) == {
        "stem.1": None,
        "blocks.0.bn1": "blocks.0",
        "blocks.1.bn1": "blocks.1",
        "blocks.2.bn1": None,  # its shortcut is a convolution
        "blocks.2.bn2": None,  # the stream behind it
        "blocks.3.norm": "blocks.3",
        "blocks.3.squeeze": None,  # of the gate, which goes with it
    }


def test_zeros_hide_nothing() -> None:
    block = Gated(16)
    nn.init.zeros_(block.last.weight)
    nn.init.zeros_(block.last.bias)
    block.share = 0.5
    assert branches(Net(block))["blocks.0.norm"] is None


def test_what_is_called_twice_or_shared_stays() -> None:
    block = Block(16, 8)
    assert branches(Net(block, block))["blocks.0.bn1"] is None
    model = Net(Block(16, 8), Block(16, 8))
    model.get_submodule("blocks.1").conv2 = model.get_submodule("blocks.0").conv2
    assert set(branches(model).values()) == {None}


def test_what_is_no_silent_block_is_not_replaced() -> None:
    with pytest.raises(ValueError, match=r"blocks\.0 is not its shortcut"):
        put_shortcuts_(net(), ["blocks.0"], INPUTS)
