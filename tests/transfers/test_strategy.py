"""The contract of a strategy: any function that fulfils it is one."""

import dataclasses
from collections.abc import Mapping

import pytest
import torch
from tiny_target import Tiny, entry
from torch import Tensor

from netslim.core.protocols import PrunableModel
from netslim.transfers import transfer
from netslim.transfers.strategy import Proposal


def doubled(source: Mapping[str, Tensor], target: PrunableModel) -> Proposal:
    """Twice the source's bias; the weight stays as it is."""
    statuses = (entry("fc.weight", "unmapped"), entry("fc.bias", "mapped"))
    return Proposal(statuses=statuses, tensors={"fc.bias": 2 * source["fc.bias"]})


def test_a_function_that_makes_a_proposal_is_a_strategy() -> None:
    target = Tiny()
    model, report = transfer({"fc.bias": torch.tensor([1.0, 2.0, 3.0])}, target, doubled)
    assert model.state_dict()["fc.bias"].tolist() == [2, 4, 6]
    assert torch.equal(model.state_dict()["fc.weight"], target.fc.weight)
    assert (report.covered, report.learnable) == (3, 9)


def test_a_proposal_says_nothing_of_moments_unless_it_is_told() -> None:
    proposal = doubled({"fc.bias": torch.ones(3)}, Tiny())
    assert (proposal.moments, proposal.identities) == ({}, ())
    status = proposal.statuses[0]
    assert (status.source_key, status.role) == (None, "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        status.key = "other"  # type: ignore[misc]
