"""Random scores depend on seed and name alone."""

import torch

from netslim.pruning import plan
from pruning.criteria.scoring import scores
from pruning.networks import EXAMPLE, resnet


def test_random_scores_depend_on_seed_and_name_alone() -> None:
    model = resnet()
    first, second = model.channel_groups()[:2]
    assert torch.equal(scores("random", model, first), scores("random", model, first))
    assert not torch.equal(scores("random", model, first), scores("random", model, first, seed=2))
    assert not torch.equal(scores("random", model, first), scores("random", model, second))
    one, two = (plan(model, EXAMPLE, percent=0.5, criterion="random", seed=seed) for seed in (1, 2))
    assert one.groups != two.groups
    assert plan(model, EXAMPLE, percent=0.5, criterion="random").groups == one.groups
