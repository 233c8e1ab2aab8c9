"""Every tensor of the pre-activation ResNet has a role, and a reason where it starts anew."""

import pytest

from netslim.models import create_model
from netslim.transfers.layer_roles import role_of, why_new


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("conv1.weight", "stem"),
        ("layer1.0.bn1.bias", "stream norm"),
        ("layer2.1.select.indexes", "selection"),
        ("layer2.1.conv1.weight", "reduce 1x1"),
        ("layer2.1.bn2.running_var", "inner norm"),
        ("layer3.0.conv2.weight", "spatial 3x3"),
        ("layer3.0.bn3.weight", "inner norm"),
        ("layer3.0.conv3.weight", "expand 1x1"),
        ("layer3.0.downsample.0.weight", "projection"),
        ("bn.weight", "stream norm"),
        ("select.indexes", "selection"),
        ("fc.bias", "head"),
    ],
)
def test_roles(key: str, role: str) -> None:
    assert role_of(key) == role


def test_no_tensor_is_without() -> None:
    assert all(role_of(key) and why_new(key) for key in create_model("resnet", depth=20).state_dict())


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("fc.weight", "classes of its own: starts anew"),
        ("select.indexes", "channel selection, all ones until pruned"),
        ("layer1.0.bn1.num_batches_tracked", "a counter"),
        ("layer1.0.conv1.weight", "nothing in the source for it: keeps its initial values"),
    ],
)
def test_why_a_tensor_starts_as_it_does(key: str, reason: str) -> None:
    assert why_new(key) == reason
