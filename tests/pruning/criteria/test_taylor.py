"""Gamma times its gradient, and what it needs."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import ChannelGroup, PrunableModel
from netslim.pruning import plan
from pruning.criteria.scoring import scores
from pruning.networks import EXAMPLE, Coupled, resnet, same, state_of


def group_of(model: PrunableModel) -> ChannelGroup:
    return model.channel_groups()[0]


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
    batch = torch.zeros(1, 2, 1, 1), torch.zeros(1).long()
    with pytest.raises(UsageError, match="needs a network that gives logits"):
        scores("taylor", nn.BatchNorm2d(2), ChannelGroup(name="", scales=("",)), [batch])
