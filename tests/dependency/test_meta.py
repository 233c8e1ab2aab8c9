"""What a run on shapes counts is what a run counts."""

import threading

import pytest
import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs
from netslim.cost import count_products
from netslim.dependency.find_groups import find_groups
from netslim.dependency.meta import skeleton
from pruning import structures
from pruning.structures import SHAPE


@pytest.mark.parametrize("build", [structures.Residual, structures.Concatenated])
def test_products_are_counted_while_the_groups_are_derived(build: type[nn.Module]) -> None:
    inputs = Inputs.of(torch.zeros(SHAPE))
    found = find_groups(build(), inputs)
    counted = count_products(build(), found.runs[0].inputs.map(lambda spec: torch.zeros(spec.shape)))
    assert found.uses == counted
    assert found.uses.total > 0


def test_what_can_not_be_copied_is_named() -> None:
    model = structures.Residual()
    model.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(
        UsageError, match=r"^'lock' of a Residual is a lock, and can't be copied \(cannot pickle '_thread"
    ):
        skeleton(model)
