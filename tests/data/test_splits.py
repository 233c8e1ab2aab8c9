import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netslim.core.errors import UsageError
from netslim.data import Split, split_validation


def of_labels(labels: list[int]) -> Split:
    """Images that show their own index."""
    return Split(torch.arange(len(labels), dtype=torch.uint8).view(-1, 1, 1, 1), torch.tensor(labels))


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0.01, 0.99), st.integers(-5, 2**70))
def test_a_partition_with_every_class_on_both_sides(labels: list[int], share: float, seed: int) -> None:
    split = of_labels(labels)
    train, validation = split_validation(split, share, seed)
    indices = torch.cat((train.images, validation.images)).view(-1)
    assert sorted(indices.tolist()) == list(range(len(labels)))
    for part in (train, validation):
        assert part.images.view(-1).tolist() == sorted(part.images.view(-1).tolist())
        assert torch.equal(part.labels, split.labels[part.images.view(-1).long()])
    for label in set(labels):
        count, held_out = labels.count(label), int((validation.labels == label).sum())
        assert (0 < held_out < count) if count > 1 else held_out == 0
        assert abs(held_out - share * count) <= 1


def test_the_same_share_of_every_class() -> None:
    _, validation = split_validation(of_labels([0] * 50 + [1] * 100 + [2] * 10), 0.1, seed=0)
    assert torch.bincount(validation.labels).tolist() == [5, 10, 1]


def test_deterministic_in_the_seed() -> None:
    split = of_labels([0, 1] * 50)
    first, again, other = (split_validation(split, 0.2, seed)[1].images for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_outside_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match=f"cannot hold out a share of {share}: it must be above 0 and below 1"):
        split_validation(of_labels([0, 1]), share, seed=0)
