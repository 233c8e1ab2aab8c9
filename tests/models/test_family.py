"""Depths, widths and the start of weights that the original's families share."""

import math

import pytest
import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.models.family import arch_spec, check_cfg, initialise_, layers_per_part


def test_layers_of_a_depth() -> None:
    assert layers_per_part(164, 9, 2, 2000, "resnet") == 18
    assert layers_per_part(11, 9, 2, 2000, "resnet") == 1


@pytest.mark.parametrize(
    ("depth", "said"),
    [(21, "the nearest is 20 or 29$"), (3, "the nearest is 11$"), (2009, "`depth=2009`: at most 2000$")],
)
def test_depths_that_there_are_not(depth: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        layers_per_part(depth, 9, 2, 2000, "resnet")


@pytest.mark.parametrize(
    ("cfg", "said"),
    [
        ([8], "^cfg has 1 entries; a vgg has 3$"),
        ([8, 8, 8], r"^cfg\[1\] is 8; a vgg has M there$"),
        ([9, "M", 8], r"^cfg\[0\] is 9; a vgg allows 1 to 8 there$"),
    ],
)
def test_widths_that_there_are_not(cfg: list[int | str], said: str) -> None:
    check_cfg([1, "M", 8], [8, "M", 8], "vgg")
    with pytest.raises(UsageError, match=said):
        check_cfg(cfg, [8, "M", 8], "vgg")


def test_full_widths_are_no_argument() -> None:
    assert arch_spec("vgg", 11, (10, 3), [8], [8]).arguments == {"depth": 11, "num_classes": 10, "in_channels": 3}
    assert arch_spec("vgg", 11, (10, 3), [4], [8]).arguments["cfg"] == [4]


def test_the_start_has_the_variance_of_fan_out() -> None:
    network = nn.Sequential(nn.Conv2d(64, 256, 3), nn.BatchNorm2d(256))
    torch.manual_seed(0)
    initialise_(network)
    assert float(network[0].weight.std()) == pytest.approx(math.sqrt(2 / (9 * 256)), rel=0.01)
    assert network[1].weight.eq(0.5).all()
