"""The magnitude of gamma, and the mean of coupled ones."""

import torch

from netslim.pruning.criteria.bn_scale import bn_scale
from pruning.networks import Coupled, resnet


def test_bn_scale_is_the_magnitude_of_gamma() -> None:
    model = resnet()
    for group in model.channel_groups():
        scores = bn_scale(model, group)
        assert torch.equal(scores, model.get_submodule(group.name).weight.abs())
        assert not scores.requires_grad


def test_bn_scale_of_coupled_norms_is_their_mean_in_float32() -> None:
    model = Coupled(channels=3).to(torch.bfloat16)
    model.left_bn.weight.data = torch.tensor([1, -2, 0], dtype=torch.bfloat16)
    model.right_bn.weight.data = torch.tensor([-3, 0, 0.5], dtype=torch.bfloat16)
    scores = bn_scale(model, model.channel_groups()[0])
    assert scores.tolist() == [2, 1, 0.25]
    assert scores.dtype == torch.float32
