from torch import nn
from torch.nn.utils import parametrize, prune

from netslim.core.networks.scale_norms import computed_scales, scale_norms


def test_every_norm_with_scales_in_network_order() -> None:
    model = nn.Sequential(
        nn.BatchNorm3d(2),
        nn.Sequential(nn.BatchNorm1d(3), nn.InstanceNorm2d(2, affine=True)),
        nn.SyncBatchNorm(2),
        nn.BatchNorm2d(2, affine=False),
        nn.InstanceNorm1d(2),
        nn.GroupNorm(1, 2),  # mixes all channels
        nn.LayerNorm(2),
        nn.BatchNorm2d(4),
        nn.GroupNorm(3, 6),
        nn.GroupNorm(3, 6, affine=False),
    )
    assert {name: len(norm.weight) for name, norm in scale_norms(model).items()} == {
        "0": 2,
        "1.0": 3,
        "1.1": 2,
        "2": 2,
        "7": 4,
        "8": 6,
    }


def test_scales_that_are_computed_are_named() -> None:
    model = nn.Sequential(*(nn.BatchNorm2d(2) for _ in range(3)))
    parametrize.register_parametrization(model[0], "weight", nn.Softplus())
    prune.l1_unstructured(model[2], "weight", 0.5)
    assert list(scale_norms(model)) == ["1"]
    assert computed_scales(model) == ["0", "2"]
