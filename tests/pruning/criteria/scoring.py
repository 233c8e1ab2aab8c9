"""The scores of one group."""

from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import Evidence


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
