"""What the file of a criterion may register, and what then scores the groups."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import ChannelGroup
from netslim.pruning.criterion import Criterion, CriterionSpec, Evidence

NETWORK = nn.Identity()
GROUP = ChannelGroup(name="bn", scales=("bn",))


def evidence(**given: Any) -> Evidence:
    return Evidence(**{"groups": (GROUP,), "macs": {"bn": 2.0}, "seed": 7, "batches": None, **given})


def zeros(model: nn.Module, group: ChannelGroup) -> Tensor:
    return torch.zeros(3)


def seeded(model: nn.Module, evidence: Evidence) -> Criterion:
    return lambda model, group: torch.full((3,), float(evidence.seed))


@pytest.mark.parametrize("given", [{}, {"score": zeros, "prepare": seeded}])
def test_a_criterion_scores_at_once_or_prepares(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^a criterion has either score or prepare$"):
        CriterionSpec(**given)


def test_what_scores_is_the_function_itself_or_what_it_prepared() -> None:
    assert CriterionSpec(score=zeros).scorer("zeros", NETWORK, evidence()) is zeros
    prepared = CriterionSpec(prepare=seeded).scorer("seeded", NETWORK, evidence())
    assert prepared(NETWORK, GROUP).tolist() == [7, 7, 7]


def test_a_criterion_that_needs_images_says_how_to_give_them() -> None:
    spec = CriterionSpec(prepare=seeded, needs_batches=True)
    with pytest.raises(UsageError) as caught:
        spec.scorer("seeded", NETWORK, evidence())
    assert str(caught.value) == (
        "criterion 'seeded' needs images with labels: pass plan(..., batches=...), "
        "or type `dataset=NAME` on the command line"
    )
    assert spec.scorer("seeded", NETWORK, evidence(batches=[]))(NETWORK, GROUP).tolist() == [7, 7, 7]
