"""What can't be followed says so in one line of the network's own."""

import pytest
import torch
from torch import nn

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
