"""The weights of all that goes with a channel."""

import torch

from netslim.pruning.criteria.group_l2_norm import group_l2_norm
from pruning.networks import Flattened, resnet


def test_what_gives_what_reads_and_the_scale_by_hand() -> None:
    """A channel of 9 weights before it, a scale, and 4 positions of 2 outputs that read it."""
    model = Flattened(side=2, channels=3)
    group = model.channel_groups()[0]
    reads = model.fc.weight.detach().view(-1, 3, 4).square().sum((0, 2))
    gives, scale = model.conv.weight.detach().flatten(1).square().sum(1), model.bn.weight.detach().square()
    expected = gives + scale + reads
    torch.testing.assert_close(group_l2_norm(model, group), expected / expected.mean())


def test_a_selection_has_its_scales_and_what_reads_it() -> None:
    model = resnet()
    model.layer2[0].select.select([1, 4, 5])
    model.layer2[0].conv1 = torch.nn.Conv2d(3, 32, 1, bias=False)
    group = next(group for group in model.channel_groups() if group.name == "layer2.0.bn1")
    found = group_l2_norm(model, group)
    assert found.nonzero().flatten().tolist() == [1, 4, 5]
    squares = model.layer2[0].conv1.weight.detach().flatten(1).square().sum(0)
    expected = squares + model.layer2[0].bn1.weight.detach()[[1, 4, 5]].square()
    torch.testing.assert_close(found[[1, 4, 5]], expected / expected.mean())
