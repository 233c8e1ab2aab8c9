"""Strategy select, without the rest of a transfer: where the BatchNorms of an equally wide source go."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from source_networks import SmallResNet
from torch import Tensor

from netslim.core.errors import UsageError
from netslim.models import create_model
from netslim.transfers.strategies.select import SelectOptions, select
from netslim.transfers.strategy import Proposal

EPSILON = 1e-5


@cache
def source() -> dict[str, Tensor]:
    return SmallResNet(blocks=1).state_dict()


def proposed(fold: bool = True) -> Proposal:
    target = create_model("resnet", depth=11, num_classes=3, in_channels=3)
    strategy: Callable[..., Proposal] = select
    return strategy(source(), target, SelectOptions(fold=fold))


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_norms_move_from_behind_a_convolution_to_before_the_next(stage: int) -> None:
    block, tensors = f"layer{stage}.0", proposed().tensors
    for conv, behind, before in (("conv1", "bn1", "bn2"), ("conv2", "bn2", "bn3")):
        torch.testing.assert_close(tensors[f"{block}.{conv}.weight"], source()[f"{block}.{conv}.weight"])
        for part in ("weight", "bias", "running_mean", "running_var"):
            torch.testing.assert_close(tensors[f"{block}.{before}.{part}"], source()[f"{block}.{behind}.{part}"])


@pytest.mark.parametrize("conv", ["layer2.0.conv3", "layer2.0.downsample.0"])
def test_a_norm_that_writes_to_the_stream_is_folded_unless_that_is_switched_off(conv: str) -> None:
    norm = {"layer2.0.conv3": "layer2.0.bn3"}.get(conv, "layer2.0.downsample.1")
    factor = source()[f"{norm}.weight"] / (source()[f"{norm}.running_var"] + EPSILON).sqrt()
    kernel, key = source()[f"{conv}.weight"], f"{conv}.weight"
    torch.testing.assert_close(proposed().tensors[key], kernel * factor[:, None, None, None])
    torch.testing.assert_close(proposed(fold=False).tensors[key], kernel)


def test_another_target_than_the_guides_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        select(source(), create_model("vgg", depth=11, num_classes=3, in_channels=3))
    assert str(caught.value) == (
        "strategy 'select' fills the unpruned pre-activation ResNet: type `arch='resnet'`, or `strategy='exact'` "
        "for the source's own network"
    )
