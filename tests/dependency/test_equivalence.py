"""A cut network is proven operation by operation: anything else than the original's is found where it happens."""

import pytest
import torch
from torch import nn

from netslim.core.networks.example import Inputs
from netslim.dependency.channel_sets import ChannelSets
from netslim.dependency.equivalence import ContradictionError, FixedSets, fault_of
from netslim.dependency.find_groups import find_groups
from netslim.dependency.slicing import rebuilt


def test_sets_that_are_final_know_what_is_united_and_what_stays() -> None:
    sets = ChannelSets()
    labels = sets.fresh(5)
    sets.unite(labels[0], labels[1])
    sets.freeze(labels[2:4], "stays")
    final = FixedSets(sets)
    names = final.named(labels)
    assert names.tolist() == [0, 0, -1, -1, 4]
    assert final.is_final(names[2:4])
    assert not final.is_final(names[1:3])
    assert final.fresh(2, "stays").tolist() == [-1, -1]


def test_sets_that_are_final_refuse_all_that_is_new() -> None:
    sets = ChannelSets()
    sets.fresh(2)
    final = FixedSets(sets)
    names = final.named(torch.arange(2))
    final.unite(names, names.clone())
    final.choose(names[0], names[1])  # asks for nothing
    final.freeze(torch.tensor([-1]), "stays")
    with pytest.raises(ContradictionError):
        final.unite(names[0], names[1])
    with pytest.raises(ContradictionError):
        final.freeze(names, "new")
    with pytest.raises(ContradictionError):
        final.fresh(1)


@pytest.mark.parametrize(
    ("number", "other", "name"),
    [
        (1, nn.Sigmoid(), "relu"),
        (1, nn.Identity(), "relu"),
        (2, nn.Conv2d(2, 2, 3, padding=1, stride=2, device="meta"), "convolution"),
        (2, nn.Conv2d(3, 2, 3, padding=1, device="meta"), "convolution"),
        (3, nn.Identity(), "tanh"),
        (3, nn.ReLU(), "tanh"),
    ],
)
def test_the_operation_that_is_not_repeated_is_named(number: int, other: nn.Module, name: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1), nn.Tanh())
    found = find_groups(model, Inputs.of(torch.zeros(1, 3, 8, 8)))
    keeps = found.places([[0, 2]])
    cut = rebuilt(model, keeps, hollow=True)
    assert fault_of(cut, found.trace, keeps, found.runs, found.meta_ops) is None
    cut[number] = other
    fault = fault_of(cut, found.trace, keeps, found.runs, found.meta_ops)
    assert fault is not None
    assert fault.name == name
