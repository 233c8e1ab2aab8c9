"""Carrying a transfer out: no strategy can make the report lie, and the target stays as it is."""

from collections.abc import Iterator, Mapping

import pytest
import torch
from tiny_target import Tiny, entry
from torch import Tensor

from netslim.core.protocols import PrunableModel
from netslim.models import create_model
from netslim.transfers import STRATEGIES, Proposal, transfer


@pytest.fixture
def lying_strategy() -> Iterator[dict[str, Proposal]]:
    box: dict[str, Proposal] = {}
    STRATEGIES.names()

    @STRATEGIES.register("lying")
    def lying(source: Mapping[str, Tensor], target: PrunableModel) -> Proposal:
        return box["proposal"]

    yield box
    del STRATEGIES._entries["lying"]


def test_a_strategy_must_account_for_every_key(lying_strategy: dict[str, Proposal]) -> None:
    lying_strategy["proposal"] = Proposal(statuses=(entry("fc.weight", "unmapped"),), tensors={})
    with pytest.raises(ValueError, match="'lying' must give one status per key of the target, in its order"):
        transfer({}, Tiny(), "lying")


def test_a_strategy_must_fill_what_it_calls_mapped(lying_strategy: dict[str, Proposal]) -> None:
    both = (entry("fc.weight", "mapped"), entry("fc.bias", "unmapped"))
    lying_strategy["proposal"] = Proposal(statuses=both, tensors={"fc.bias": torch.zeros(3)})
    with pytest.raises(ValueError, match="'lying' must give a tensor for every key it calls mapped"):
        transfer({}, Tiny(), "lying")


def test_a_strategy_must_not_fill_what_it_calls_skipped(lying_strategy: dict[str, Proposal]) -> None:
    both = (entry("fc.weight", "mapped"), entry("fc.bias", "skipped"))
    tensors = {"fc.weight": torch.zeros(3, 2), "fc.bias": torch.zeros(3)}
    lying_strategy["proposal"] = Proposal(statuses=both, tensors=tensors)
    with pytest.raises(ValueError, match="'lying' must give a tensor for every key it calls mapped"):
        transfer({}, Tiny(), "lying")


def test_a_start_that_is_not_the_sources_is_filled_in_but_not_counted(lying_strategy: dict[str, Proposal]) -> None:
    both = (entry("fc.weight", "mapped"), entry("fc.bias", "unmapped"))
    tensors = {"fc.weight": torch.zeros(3, 2), "fc.bias": torch.full((3,), 5.0)}
    lying_strategy["proposal"] = Proposal(statuses=both, tensors=tensors)
    model, report = transfer({}, Tiny(), "lying")
    assert isinstance(model, Tiny)
    assert model.fc.bias.tolist() == [5.0, 5.0, 5.0]
    assert (report.mapped, report.unmapped, report.covered, report.learnable) == (1, 1, 6, 9)


def test_the_target_is_not_changed_and_keeps_what_the_source_has_nothing_for() -> None:
    target = Tiny()
    before = {key: tensor.clone() for key, tensor in target.state_dict().items()}
    model, _ = transfer({"fc.weight": torch.full((3, 2), 7.0), "fc.bias": torch.full((3,), 5.0)}, target, "guide")
    assert all(torch.equal(tensor, before[key]) for key, tensor in target.state_dict().items())
    assert torch.equal(model.state_dict()["fc.weight"], torch.full((3, 2), 7.0))
    model, _ = transfer({}, target, "guide")
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize(("name", "strategy"), [("torchvision/resnet18", "exact"), ("resnet", "select")])
def test_without_a_strategy_the_target_decides(name: str, strategy: str, resnet18: dict[str, Tensor]) -> None:
    target = create_model(name) if "/" in name else create_model(name, depth=11)
    _, report = transfer(resnet18, target)
    assert report.strategy == strategy
