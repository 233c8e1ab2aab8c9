"""Every criterion in closed form, on networks small enough to do it by hand."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from networks import EXAMPLE, Coupled, Flattened, resnet, same, state_of
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import ChannelGroup, PrunableModel
from netslim.pruning import plan
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


def score_of(name: str) -> Callable[..., Tensor]:
    score = CRITERIA.get(name).score
    assert score is not None
    return score


def group_of(model: PrunableModel) -> ChannelGroup:
    return model.channel_groups()[0]


@pytest.fixture
def filters() -> Flattened:
    """Three filters: (3, 4, 0...), (0...), (1, 0...)."""
    model = Flattened(side=2, channels=3)
    nn.init.zeros_(model.conv.weight)
    model.conv.weight.data.view(3, 9)[0, :2] = torch.tensor([3.0, -4.0])
    model.conv.weight.data.view(3, 9)[2, 0] = 1.0
    return model


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l1_norm", [7, 0, 1]),
        ("l2_norm", [5, 0, 1]),
        # distances: first to second 5, first to third sqrt(4 + 16), second to third 1
        ("geometric_median", [5 + math.sqrt(20), 6, 1 + math.sqrt(20)]),
    ],
)
def test_filters_are_scored_relative_to_the_groups_mean(filters: Flattened, name: str, expected: list[float]) -> None:
    criterion = score_of(name)
    found = criterion(filters, group_of(filters))
    torch.testing.assert_close(found, torch.tensor(expected) / (sum(expected) / 3))


@pytest.mark.parametrize("name", ["l1_norm", "l2_norm", "geometric_median"])
def test_filters_that_are_all_the_same_have_the_same_score(name: str) -> None:
    model = Flattened(side=2, channels=3)
    nn.init.zeros_(model.conv.weight)
    criterion = score_of(name)
    assert criterion(model, group_of(model)).tolist() == [0, 0, 0]
    decided = plan(model, torch.zeros(1, 1, 2, 2), percent=0.5, criterion=name)
    assert decided.groups[0].keep == (2,)  # floor(3 x 0.5) + 1 of equal scores: the first two go


def test_coupled_filters_are_scored_by_the_mean_of_both() -> None:
    model = Coupled(channels=2)
    nn.init.ones_(model.left.weight)
    model.right.weight.data[0], model.right.weight.data[1] = 3, 1
    criterion = score_of("l1_norm")
    torch.testing.assert_close(criterion(model, group_of(model)), torch.tensor([(1 + 1.5) / 2, (1 + 0.5) / 2]))


def test_what_a_selection_dropped_scores_zero() -> None:
    model = resnet()
    model.layer2[0].select.select([1, 4, 5])
    model.layer2[0].conv1 = nn.Conv2d(3, 32, 1, bias=False)
    group = next(group for group in model.channel_groups() if group.name == "layer2.0.bn1")
    criterion = score_of("l2_norm")
    found = criterion(model, group)
    assert found.shape == (64,)
    assert found.nonzero().flatten().tolist() == [1, 4, 5]
    norms = model.layer2[0].conv1.weight.flatten(1).square().mean(0).sqrt()
    torch.testing.assert_close(found[[1, 4, 5]], (norms / norms.mean()).detach())


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


class Scaled(nn.Module):
    """gamma x input as logits: two images' mean cross-entropy can be differentiated by hand."""

    def __init__(self, gamma: list[float]) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(2, eps=0)
        self.bn.weight.data = torch.tensor(gamma)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(x).flatten(1)


def test_taylor_is_gamma_times_its_gradient_averaged_over_batches() -> None:
    model = Scaled([0.5, -2.0]).train()
    before = state_of(model)
    images = [torch.tensor([[[[1.0]], [[3.0]]]]), torch.tensor([[[[-1.0]], [[2.0]]]])]
    labels = torch.tensor([1])
    batches = [(image, labels) for image in images]
    group = ChannelGroup(name="bn", scales=("bn",))
    expected = []
    for image in images:
        x = image.flatten()
        share = F.softmax(torch.tensor([0.5, -2.0]) * x, dim=0)
        slope = torch.tensor([share[0] * x[0], (share[1] - 1) * x[1]])
        expected.append((torch.tensor([0.5, -2.0]) * slope).abs())
    torch.testing.assert_close(scores("taylor", model, group, batches), torch.stack(expected).mean(0))
    assert model.bn.weight.grad is None
    assert model.training
    assert same(model.state_dict(), before)


def test_taylor_takes_scales_that_become_zero_together_together() -> None:
    torch.manual_seed(0)
    model = Coupled(channels=4).eval()
    images, labels = torch.randn(6, 1, 5, 5), torch.tensor([0, 1, 0, 1, 1, 0])
    found = scores("taylor", model, group_of(model), [(images, labels)])
    F.cross_entropy(model(images), labels).backward()
    norms = [model.left_bn.weight, model.right_bn.weight]
    torch.testing.assert_close(found, sum(norm.detach() * norm.grad for norm in norms).abs())  # type: ignore


def test_taylor_of_a_frozen_network() -> None:
    model = Coupled(channels=4).requires_grad_(False)
    images, labels = torch.randn(2, 1, 5, 5), torch.tensor([0, 1])
    assert scores("taylor", model, group_of(model), [(images, labels)]).shape == (4,)
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (
            None,
            "criterion 'taylor' needs images with labels: pass plan(..., batches=...), or type `dataset=NAME` on the "
            "command line",
        ),
        ([], "criterion 'taylor' needs images with labels, and there are no batches of them"),
    ],
)
def test_taylor_without_images(batches: list[tuple[Tensor, Tensor]] | None, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(resnet(), EXAMPLE, percent=0.5, criterion="taylor", batches=batches)
    assert str(caught.value) == message


def test_taylor_needs_logits() -> None:
    with pytest.raises(UsageError, match="needs a network that gives logits"):
        scores("taylor", nn.BatchNorm2d(2), ChannelGroup(name="", scales=("",)), [(torch.zeros(1, 2, 1, 1), None)])  # type: ignore[list-item]


def test_random_scores_depend_on_seed_and_name_alone() -> None:
    model = resnet()
    first, second = model.channel_groups()[:2]
    assert torch.equal(scores("random", model, first), scores("random", model, first))
    assert not torch.equal(scores("random", model, first), scores("random", model, first, seed=2))
    assert not torch.equal(scores("random", model, first), scores("random", model, second))
    one, two = (plan(model, EXAMPLE, percent=0.5, criterion="random", seed=seed) for seed in (1, 2))
    assert one.groups != two.groups
    assert plan(model, EXAMPLE, percent=0.5, criterion="random").groups == one.groups
