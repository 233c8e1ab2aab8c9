"""Random scores depend on seed and name alone."""

import torch
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.pruning import plan
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import Evidence
from pruning.networks import EXAMPLE, resnet


def scores(
    name: str,
    model: nn.Module,
    group: ChannelGroup,
    batches: list[tuple[Tensor, Tensor]] | None = None,
    seed: int = 1,
    macs: float = 1,
) -> Tensor:
    evidence = Evidence(groups=[group], macs={group.name: macs}, seed=seed, batches=batches)
    return CRITERIA.get(name).scorer(name, model, evidence)(model, group)


def test_random_scores_depend_on_seed_and_name_alone() -> None:
    model = resnet()
    first, second = model.channel_groups()[:2]
    assert torch.equal(scores("random", model, first), scores("random", model, first))
    assert not torch.equal(scores("random", model, first), scores("random", model, first, seed=2))
    assert not torch.equal(scores("random", model, first), scores("random", model, second))
    one, two = (plan(model, EXAMPLE, percent=0.5, criterion="random", seed=seed) for seed in (1, 2))
    assert one.groups != two.groups
    assert plan(model, EXAMPLE, percent=0.5, criterion="random").groups == one.groups
