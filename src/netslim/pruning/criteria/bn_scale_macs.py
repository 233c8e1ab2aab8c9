"""|gamma| per MAC: of equally small scales, the one whose channel costs most goes first."""

from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup
from netslim.dependency.groups import channels_of
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criteria.bn_scale import bn_scale
from netslim.pruning.criterion import Criterion, CriterionSpec, Evidence


def scale_per_mac(model: nn.Module, evidence: Evidence) -> Criterion:
    """|gamma| x (mean MACs per channel over all channels) / (MACs that go with one channel of the group).

    Scores of shape (channels,), float32. Keeping the channels with the highest is the greedy solution of a knapsack
    whose values are the scales and whose weights are the MACs (Dantzig 1957).
    """
    counts = {group.name: channels_of(model, group) for group in evidence.groups}
    mean = sum(evidence.macs[name] * count for name, count in counts.items()) / sum(counts.values())

    def score(model: nn.Module, group: ChannelGroup) -> Tensor:
        return bn_scale(model, group) * (mean / max(evidence.macs[group.name], 1.0))

    return score


CRITERIA.register("bn_scale_macs")(CriterionSpec(summary="|gamma| per MAC that a channel frees", prepare=scale_per_mac))
