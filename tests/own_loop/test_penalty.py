"""`netslim.penalty` weighted by what pruning frees; what penalties do is proved in tests/training/penalties."""

import re
from typing import Any

import pytest
import torch
from torch import nn

import netslim
from netslim.core.errors import UsageError
from netslim.pruning.freed_macs import freed_macs

EXAMPLE = torch.zeros(1, 3, 16, 16)


def network() -> nn.Module:
    return netslim.create_model("resnet", depth=11, num_classes=4)


@pytest.mark.parametrize("compiled", [False, True])
def test_weights_by_macs_are_what_the_command_takes(compiled: bool) -> None:
    model = network()
    expected = freed_macs(model, EXAMPLE)
    given = torch.compile(model, backend="eager") if compiled else model
    penalty = netslim.penalty(given, strength=0.1, weights="macs", example=EXAMPLE)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    penalty.before_step_()
    for name, weights in expected.items():
        torch.testing.assert_close(model.get_submodule(name).weight.grad, 0.1 * weights)


def test_weights_by_macs_of_layers_in_other_dimensions() -> None:
    """The second convolution reads 8 channels at 14 places, and the first gives them at 14, of 3: 14 x 3 (3 + 4)."""
    layers = nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 4, 3, padding=1), nn.BatchNorm1d(4)
    weights = freed_macs(nn.Sequential(*layers), torch.zeros(1, 3, 16))
    assert set(weights) == {"1", "4"}
    assert torch.equal(weights["1"], torch.full((8,), 12 / 8))
    assert not weights["4"].any()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (
            {"weights": "mac", "example": EXAMPLE},
            "weights 'mac': give 'macs', a tensor for each BatchNorm by its name, or",
        ),
        ({"weights": "macs"}, "weights 'macs' are counted at an input: give `example`, as for plan()"),
    ],
)
def test_refusals(given: dict[str, Any], error: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(error)}"):
        netslim.penalty(network(), strength=1.0, **given)
