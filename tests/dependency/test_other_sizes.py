"""What is said of code that does otherwise at another size than the example's."""

import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.core.errors import NetslimWarning
from netslim.core.networks.example import Inputs
from netslim.dependency.find_groups import find_groups
from netslim.dependency.other_sizes import note_of_sizes


class Turning(nn.Module):
    """Turns its channels round where it pleases."""

    def __init__(self, turns: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self.conv, self.bn, self.out = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 1)
        self.turns = turns

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu(self.bn(self.conv(x)))
        if self.turns(x):
            y = y.flip(1)
        found: Tensor = self.out(y)
        return found


def note(model: nn.Module, example: Tensor) -> str | None:
    return note_of_sizes(model, find_groups(model, Inputs.of(example)))


@pytest.mark.parametrize(
    ("turns", "where"),
    [
        (lambda x: x.shape[-1] > 20, "at 32 x 32"),
        (lambda x: x.shape[-1] < 16, "at 8 x 8"),
        (lambda x: len(x) > 4, "in a batch of 16"),
    ],
)
def test_code_that_does_otherwise_at_another_size_is_named(turns: Callable[[Tensor], bool], where: str) -> None:
    found = note(Turning(turns), torch.zeros(2, 3, 16, 16))
    assert found is not None
    assert re.fullmatch(
        rf"{where} Turning does something else than on the example \(test_other_sizes.py:\d+ \(flip\)\), of which "
        "nothing is proven: give an example of the size in use",
        found,
    )


def test_nothing_is_said_where_it_does_the_same_or_does_not_run() -> None:
    assert note(Turning(lambda x: True), torch.zeros(2, 3, 16, 16)) is None
    fixed = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2))
    assert note(fixed, torch.zeros(2, 3, 4, 4)) is None


def test_a_plan_says_it() -> None:
    torch.manual_seed(0)
    with pytest.warns(NetslimWarning, match="at 32 x 32 Turning does something else"):
        plan = netslim.plan(
            Turning(lambda x: x.shape[-1] > 20), torch.zeros(2, 3, 16, 16), percent=0.5, criterion="l2_norm"
        )
    assert "at 32 x 32" in plan.notes[-1]
