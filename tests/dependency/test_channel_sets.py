"""Sets of labels in closed form: names, reasons, and what a tensor carries of them."""

import pytest
import torch

from netslim.core.tie import Tie
from netslim.dependency.channel_sets import ChannelSets, TensorChannels, condense, tied


def test_a_set_is_named_by_its_smallest_member_however_it_was_united() -> None:
    sets = ChannelSets()
    labels = sets.fresh(5000)
    evens, odds = labels[::2], labels[1::2]
    sets.unite(evens[1:].flip(0), evens[:-1].flip(0))
    sets.unite(odds, odds[-1])
    assert sets.count == 5000
    assert sets.roots(labels).tolist() == [0, 1] * 2500


def test_a_united_set_stays_for_the_first_reason() -> None:
    sets = ChannelSets()
    free, late = sets.fresh(2), sets.fresh(2, "first")
    sets.freeze(torch.cat([late[:1], free[:1]]), "second")
    assert sets.frozen() == {0: "second", 2: "first", 3: "first"}
    sets.unite(free[1], late[1])
    sets.unite(late[0], free[0])
    assert sets.frozen() == {0: "first", 1: "first"}


def test_channels_are_seen_along_their_own_dimension_alone() -> None:
    own = TensorChannels(1, torch.tensor([4, 5]), torch.tensor([True, False]))
    assert own.along(1, 2) is own
    assert own.along(0, 3) is None
    everywhere = TensorChannels(None, torch.tensor([7]), torch.tensor([True])).along(2, 3)
    assert everywhere is not None
    assert (everywhere.axis, everywhere.labels.tolist(), everywhere.silent.tolist()) == (2, [7] * 3, [True] * 3)


def test_codes_give_back_what_was_spread() -> None:
    sets = ChannelSets()
    carried = TensorChannels(1, sets.fresh(3), torch.tensor([True, False, True]))
    codes = carried.spread((2, 3, 4))
    assert codes.untyped_storage().nbytes() == 3 * 8
    found = condense(codes.contiguous(), sets)
    assert (found.axis, found.labels.tolist(), found.silent.tolist()) == (1, [0, 1, 2], [True, False, True])


def test_of_two_dimensions_the_one_with_more_labels_shrinks() -> None:
    sets = ChannelSets()
    found = condense((sets.fresh(6) * 2 + 1).view(2, 3), sets)
    assert found.axis == 1
    assert sets.roots(found.labels).tolist() == [0, 1, 2]
    assert sets.roots(torch.arange(6)).tolist() == [0, 1, 2, 0, 1, 2]
    assert found.silent.all()


@pytest.mark.parametrize(
    ("tie", "roots"),
    [
        (Tie(0, 2, 1), [0, 1, 2, 0, 1, 2]),
        (Tie(0, 1, 2), [0, 0, 2, 2, 4, 4]),
        (Tie(1, 2, 1), [0, 1, 2, 3, 4, 5]),  # another dimension
        (Tie(0, 4, 1), [0, 1, 2, 3, 4, 5]),  # another weight's
    ],
)
def test_new_labels_are_united_as_they_were_before(tie: Tie, roots: list[int]) -> None:
    sets = ChannelSets()
    labels = tied(sets, {"weight": tie}, "weight", 0, sets.fresh(6))
    assert sets.roots(labels).tolist() == roots
