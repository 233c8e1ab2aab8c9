"""What can't be followed says so in one line of the network's own."""

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs
from netslim.dependency.find_groups import find_groups
from netslim.pruning import plan
from pruning import structures
from pruning.structures import SHAPE


def refusal(model: nn.Module, shape: tuple[int, ...] = SHAPE, **options: str) -> str:
    with pytest.raises(UsageError) as caught:
        plan(model, torch.zeros(shape), percent=0.5, **options)
    return str(caught.value)


def test_inputs_that_do_not_fit() -> None:
    assert refusal(structures.Residual(), (1, 4, 8, 8)) == (
        "Residual does not run on an input of 4 x 8 x 8: RuntimeError: Given groups=1, weight of size [4, 3, 3, 3], "
        "expected input[2, 4, 8, 8] to have 3 channels, but got 4 channels instead"
    )


def test_a_decision_on_values_names_its_line() -> None:
    with torch.device("meta"):  # there are no values
        model = structures.Deciding()
    text = refusal(model)
    line = structures.Deciding.forward.__code__.co_firstlineno + 2
    assert text == (
        f"structures.py:{line}: what Deciding does depends on the values that it computes (_local_scalar_dense), so "
        "its channel groups can't be derived; a forward that depends on shapes alone can be"
    )


def test_a_decision_on_values_is_followed_on_both_ways() -> None:
    found = find_groups(structures.Deciding(), Inputs.of(torch.zeros(SHAPE)))
    runs = [run.decisions.taken[-1].answer for run in found.runs if run.decisions]
    assert sorted(runs) == [False, True]
    assert [group.name for group in found.groups] == ["body.1"]


def test_a_number_that_is_made_of_weights_and_given_out_keeps_their_channels() -> None:
    """The distance of a weight's rows from orthogonal ones counts them, and counts those that are zero, too."""

    class Regularised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Linear(3, 8), nn.Linear(8, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            weight = self.last.weight
            apart = (weight @ weight.t() - torch.eye(len(weight))).square().sum()
            return self.last(self.second(self.first(x).relu()).relu()), apart

    found = find_groups(Regularised(), Inputs.of(torch.zeros(2, 3)))
    assert [group.name for group in found.groups] == ["first"]
    assert [(part.name, part.reason) for part in found.left_alone] == [
        ("second", "is an output of the network"),
        ("last", "is an output of the network"),
    ]
