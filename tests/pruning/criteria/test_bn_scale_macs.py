"""The scale per MAC that it frees."""

import torch
from torch import nn

from netslim.core.protocols import ChannelGroup
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import Evidence
from pruning.criteria.scoring import scores
from pruning.networks import Coupled


def test_scale_per_mac() -> None:
    """Dearer channels go first: the mean is over all channels of both groups."""
    model = Coupled(channels=3)
    model.left_bn.weight.data = torch.tensor([1.0, -2.0, 4.0])
    model.right_bn.weight.data = torch.tensor([1.0, 2.0, 4.0])
    cheap = ChannelGroup(name="left", scales=("left_bn",))
    dear = ChannelGroup(name="right", scales=("right_bn",))
    evidence = Evidence(groups=[cheap, dear], macs={"left": 100, "right": 300}, seed=1, batches=None)
    score = CRITERIA.get("bn_scale_macs").scorer("bn_scale_macs", model, evidence)
    assert score(model, cheap).tolist() == [2, 4, 8]
    torch.testing.assert_close(score(model, dear), torch.tensor([1, 2, 4]) * 200 / 300)


def test_a_channel_that_frees_no_macs_divides_by_one() -> None:
    model = Coupled(channels=3)
    nn.init.ones_(model.left_bn.weight)
    assert scores("bn_scale_macs", model, ChannelGroup(name="left", scales=("left_bn",)), macs=0).isfinite().all()
