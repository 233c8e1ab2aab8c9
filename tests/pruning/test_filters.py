"""Scores of filters, relative to their group's mean."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup, PrunableModel
from netslim.pruning import plan
from netslim.pruning.criteria import CRITERIA
from pruning.networks import Coupled, Flattened, resnet


def score_of(name: str) -> Callable[..., Tensor]:
    score = CRITERIA.get(name).score
    assert score is not None
    return score


def group_of(model: PrunableModel) -> ChannelGroup:
    return model.channel_groups()[0]


@pytest.fixture
def filters() -> Flattened:
    """Three filters: (3, 4, 0...), (0...), (1, 0...)."""
    model = Flattened(side=2, channels=3)
    nn.init.zeros_(model.conv.weight)
    model.conv.weight.data.view(3, 9)[0, :2] = torch.tensor([3.0, -4.0])
    model.conv.weight.data.view(3, 9)[2, 0] = 1.0
    return model


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l1_norm", [7, 0, 1]),
        ("l2_norm", [5, 0, 1]),
        # distances: first to second 5, first to third sqrt(4 + 16), second to third 1
        ("geometric_median", [5 + math.sqrt(20), 6, 1 + math.sqrt(20)]),
    ],
)
def test_filters_are_scored_relative_to_the_groups_mean(filters: Flattened, name: str, expected: list[float]) -> None:
    criterion = score_of(name)
    found = criterion(filters, group_of(filters))
    torch.testing.assert_close(found, torch.tensor(expected) / (sum(expected) / 3))


@pytest.mark.parametrize("name", ["l1_norm", "l2_norm", "geometric_median"])
def test_filters_that_are_all_the_same_have_the_same_score(name: str) -> None:
    model = Flattened(side=2, channels=3)
    nn.init.zeros_(model.conv.weight)
    criterion = score_of(name)
    assert criterion(model, group_of(model)).tolist() == [0, 0, 0]
    decided = plan(model, torch.zeros(1, 1, 2, 2), percent=0.5, criterion=name)
    assert decided.groups[0].keep == (2,)  # floor(3 x 0.5) + 1 of equal scores: the first two go


def test_coupled_filters_are_scored_by_the_mean_of_both() -> None:
    model = Coupled(channels=2)
    nn.init.ones_(model.left.weight)
    model.right.weight.data[0], model.right.weight.data[1] = 3, 1
    criterion = score_of("l1_norm")
    torch.testing.assert_close(criterion(model, group_of(model)), torch.tensor([(1 + 1.5) / 2, (1 + 0.5) / 2]))


def test_what_a_selection_dropped_scores_zero() -> None:
    model = resnet()
    model.layer2[0].select.select([1, 4, 5])
    model.layer2[0].conv1 = nn.Conv2d(3, 32, 1, bias=False)
    group = next(group for group in model.channel_groups() if group.name == "layer2.0.bn1")
    criterion = score_of("l2_norm")
    found = criterion(model, group)
    assert found.shape == (64,)
    assert found.nonzero().flatten().tolist() == [1, 4, 5]
    norms = model.layer2[0].conv1.weight.flatten(1).square().mean(0).sqrt()
    torch.testing.assert_close(found[[1, 4, 5]], (norms / norms.mean()).detach())


class Vectors(nn.Module):
    """Channels that no matrix gives: an input times two vectors, summed."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.arange(1.0, 9.0)), nn.Parameter(torch.ones(8))
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc(x) + (x[:, :1] * self.first * self.second).sum(1, keepdim=True)
        return found


def test_channels_of_vectors_alone_are_scored_by_these() -> None:
    decided = plan(Vectors(), torch.zeros(2, 3), percent=0.4, criterion="l1_norm")
    assert decided.groups[0].keep == (4, 5, 6, 7)


def test_channels_of_fixed_filters_alone_are_scored_by_these() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("first", torch.diag(torch.tensor([3.0, 1.0, 2.0])))
            self.register_buffer("second", torch.ones(2, 3))

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(torch.relu(F.linear(x, self.first)), self.second)

    decided = plan(Fixed(), torch.zeros(2, 3), percent=0.3, criterion="l2_norm")
    assert [part.keep for part in decided.groups] == [(0, 2)]
