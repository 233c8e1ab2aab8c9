"""A criterion that is registered decides."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import ChannelGroup
from netslim.pruning import apply, plan, verify
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import Criterion, CriterionSpec
from pruning.networks import EXAMPLE, resnet


@pytest.fixture
def by_index() -> Iterator[Criterion]:
    """Registers `by_index`: the higher the channel's number, the sooner it goes."""

    def score(model: nn.Module, group: ChannelGroup) -> Tensor:
        return -torch.arange(model.get_submodule(group.scales[0]).num_features, dtype=torch.float32)

    CRITERIA.names()
    CRITERIA.register("by_index")(CriterionSpec(score=score))
    yield score
    CRITERIA._entries.pop("by_index")


def test_a_registered_criterion_decides(by_index: Criterion) -> None:
    model = resnet()
    decided = plan(model, EXAMPLE, percent=0.4, criterion="by_index")
    assert decided.criterion == "by_index"
    for group in decided.groups:
        assert group.keep == tuple(range(len(group.keep)))
    # One threshold for all, at channel 60: 3 x (64 - 60) + (128 - 60) + (256 - 60) = 276 go.
    assert [len(group.keep) for group in decided.groups] == [16, 16, 16, 60, 32, 32, 60, 60, 60, 60]
    small = apply(model, decided)
    assert verify(model, small, torch.randn(2, 1, 8, 8)).holds
    again = plan(small, EXAMPLE, percent=0.5, criterion="by_index")
    assert all(group.keep == tuple(range(len(group.keep))) for group in again.groups)


def test_a_name_is_given_once(by_index: Criterion) -> None:
    with pytest.raises(ValueError, match="criterion 'by_index' is registered twice"):
        CRITERIA.register("by_index")(CriterionSpec(score=by_index))


def test_a_criterion_that_forgets_channels_is_refused() -> None:
    CRITERIA.names()
    CRITERIA.register("short")(CriterionSpec(score=lambda model, group: torch.zeros(3)))
    try:
        with pytest.raises(UsageError) as caught:
            plan(resnet(), EXAMPLE, percent=0.5, criterion="short")
    finally:
        CRITERIA._entries.pop("short")
    assert str(caught.value) == (
        "criterion 'short' gives group 'layer1.0.bn1' no finite score for each of its 16 channels; "
        "are the weights finite?"
    )
