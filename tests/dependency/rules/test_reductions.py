"""Sums over channels, norms, sampling and pooling: where a channel that is zero does no harm, channels go."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netslim.core.errors import UsageError
from pruning.kinds import Net, check_exact, lively, pruned

SAFE = {
    "normalize": lambda s, y: F.normalize(y, dim=1),
    "normalize by the sum": lambda s, y: F.normalize(y, p=1, dim=1),
    "normalize by the largest": lambda s, y: F.normalize(y, p=float("inf"), dim=1),
    "norm": lambda s, y: y / (y.norm(dim=1, keepdim=True) + 1),
    "sum": lambda s, y: y * y.sum(1, keepdim=True).sigmoid(),
    "cosine": lambda s, y: y * F.cosine_similarity(y, y.flip(3), dim=1)[:, None],
    "distance": lambda s, y: y * F.pairwise_distance(y, y.flip(3), keepdim=True),
    "instance_norm": lambda s, y: F.instance_norm(y),
    "softmax in space": lambda s, y: (y.flatten(2).softmax(2) * y.flatten(2)).view_as(y),
    "grid_sample": lambda s, y: F.grid_sample(
        y, F.affine_grid(torch.eye(2, 3).expand(2, 2, 3), list(y.shape), align_corners=False), align_corners=False
    ),
    "max_unpool": lambda s, y: F.max_unpool2d(*F.max_pool2d(y, 2, return_indices=True), 2),
    "interpolate": lambda s, y: F.interpolate(y, scale_factor=2, mode="bilinear"),
    "dropout2d": lambda s, y: F.dropout2d(y, 0.5, training=False),
    "maximum of halves": lambda s, y: torch.cat([y.unflatten(1, (2, -1)).amax(1)] * 2, 1),
}
DRAWN = {
    "noise": lambda s, y: y * (1 + 0.1 * torch.randn_like(y)),
    "dropout": lambda s, y: F.dropout(y, 0.2, training=True),
    "noise in place": lambda s, y: y * torch.empty_like(y).bernoulli_(0.5),
}
LEARNT = {  # what was learnt for a channel is not zero because the channel is silent
    "weights in proportion": lambda s, y: y * (s.conv.bias / s.conv.bias.abs().sum())[:, None, None],
    "a normalised vector": lambda s, y: y * F.normalize(s.conv.bias, dim=0)[:, None, None],
    "a mean by weights": lambda s, y: (
        y + (y * s.bn.running_var[:, None, None]).sum(1, keepdim=True) / s.bn.running_var.sum()
    ),
    "the sum of a buffer": lambda s, y: y / s.bn.running_var.sum(),
    "the size of a weight": lambda s, y: y / s.conv.weight.norm(),
    "the norm of a weight as rows": lambda s, y: y / s.conv.weight.flatten(1).norm(),
    "the spread of a weight's exponentials": lambda s, y: y * s.conv.weight.exp().std(),
    "a number of a weight": lambda s, y: y * s.conv.weight[0, 0, 0, 0],
    "the middle of a weight": lambda s, y: y * s.conv.weight.flatten().sort().values[10],
    "the squares of a weight": lambda s, y: y / (s.conv.weight * s.conv.weight).sum(),
}
MIXING = {
    "mean": lambda s, y: y * y.mean(1, keepdim=True).sigmoid(),
    "maximum": lambda s, y: y * y.amax(1, keepdim=True).sigmoid(),
    "variance": lambda s, y: y / (y.var(1, keepdim=True) + 1),
    "product": lambda s, y: y * y.prod(1, keepdim=True),
    "smallest by a norm": lambda s, y: y * torch.linalg.vector_norm(y, -1, 1, keepdim=True),
    "softmax": lambda s, y: y.softmax(1),
    "logsumexp": lambda s, y: y * y.logsumexp(1, keepdim=True),
    "running sum": lambda s, y: y.cumsum(1),
    "group_norm": lambda s, y: F.group_norm(y, 4),
    "neighbours": lambda s, y: F.local_response_norm(y, 3),
}


@pytest.mark.parametrize("name", SAFE)
def test_channels_that_are_zero_do_no_harm(name: str) -> None:
    check_exact(Net(maps=SAFE[name]))


@pytest.mark.parametrize("name", ["normalize", "norm", "sum"])
def test_nor_among_means(name: str) -> None:
    check_exact(Net(means=SAFE[name]))


@pytest.mark.parametrize("name", LEARNT)
def test_sums_over_what_was_learnt_stay(name: str) -> None:
    with pytest.raises(
        UsageError, match=r"has no channels that can go: conv is (mixed with other channels|read as a number) by"
    ):
        pruned(lively(Net(maps=LEARNT[name])))


@pytest.mark.parametrize("name", MIXING)
def test_what_mixes_channels_stays(name: str) -> None:
    with pytest.raises(UsageError, match="has no channels that can go: conv "):
        pruned(lively(Net(maps=MIXING[name])))


def test_a_part_of_a_weight_whose_shape_alone_is_asked_for_keeps_nothing() -> None:
    check_exact(Net(maps=lambda s, y: y * s.conv.weight[0].numel() ** -0.5))


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_in_evaluation_too_stays(name: str) -> None:
    with pytest.raises(UsageError, match="has no channels that can go: conv is drawn at random in evaluation by "):
        pruned(lively(Net(maps=DRAWN[name])))


class Regions(nn.Module):
    """A description of each soft region: products of maps with maps, of which both have channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.soft, self.soft_bn, self.out = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps, soft = F.relu(self.bn(self.conv(x))).flatten(2), self.soft_bn(self.soft(x)).flatten(2)
        found: torch.Tensor = self.out(soft @ maps.transpose(1, 2))
        return found


def test_of_a_product_of_channels_with_channels_the_more_can_go() -> None:
    small = check_exact(Regions())
    assert small.soft.out_channels == 5
    assert small.out.in_features == small.conv.out_channels < 16


def test_images_one_by_one_keep_their_channels() -> None:
    check_exact(Net(means=lambda s, y: torch.stack([own * own.abs() for own in y])))


class Added(nn.Module):
    """Matrices of a batch, with something added to what they give."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.conv, self.bn, self.last, self.out = (
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.BatchNorm1d(6),
            nn.Linear(6, 4),
        )
        self.weight, self.shift = nn.Parameter(torch.randn(3, 8, 6)), nn.Parameter(torch.randn(3, 1, 6))
        self.share = share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn(self.conv(x))).mean((2, 3)).expand(3, -1, -1)
        y = torch.baddbmm(self.shift, y, self.weight, beta=self.share, alpha=0.5)
        found: torch.Tensor = self.out(self.last(y.mean(0)))
        return found


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_what_is_added_to_products_goes_with_them(share: float) -> None:
    small = check_exact(Added(share), percent=0.4)
    assert small.weight.shape == (3, small.bn.num_features, small.last.num_features)
    assert small.shift.shape == (3, 1, small.last.num_features)
    assert sum(small.weight.shape[1:]) < 14
