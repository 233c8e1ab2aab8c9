"""Channels that meet go together: gates, squeeze-excitation, parameters that are used as they are."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from dependency.cuts import cuts, each, left, norm
from pruning import structures
from pruning.kinds import check_exact


def test_squeeze_excitation_follows_and_its_inside_stays() -> None:
    six = each(6)
    found = cuts(structures.Squeezed())
    assert found == {
        "body.1": {
            **{"body.0.weight@0": six, **norm("body.1", six), "squeeze.weight@1": six},
            **{"excite.weight@0": six, "excite.bias@0": six, "last.weight@1": six},
        },
        "squeeze": {"squeeze.weight@0": each(2), "squeeze.bias@0": each(2), "excite.weight@1": each(2)},
    }
    assert left(structures.Squeezed()) == {
        "last": (2, "is an output of the network"),
        "squeeze": (2, "has no BatchNorm that scores it"),
    }


def test_a_gate_and_what_it_opens_go_together() -> None:
    pairs = [[channel, channel + 4] for channel in range(4)]
    assert cuts(structures.Gated()) == {
        "body.1": {"body.0.weight@0": pairs, **norm("body.1", pairs), "last.weight@1": each(4)}
    }


def test_parameters_that_are_used_as_they_are_follow() -> None:
    found = cuts(structures.Scaled())["body.1"]
    assert found["gamma@0"] == found["picture@1"] == each(4)


def test_a_gated_half_goes_with_its_gate() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.out = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> Any:
            return self.out(F.glu(self.bn(self.conv(x)), 1))

    small = check_exact(Gated())
    assert small.conv.out_channels == 2 * small.out.in_channels < 16
