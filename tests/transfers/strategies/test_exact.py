"""Strategy exact, without the rest of a transfer: what it proposes for the same network."""

import pytest
import torch

from netslim.core.errors import UsageError
from netslim.core.protocols import PrunableModel
from netslim.models import create_model
from netslim.transfers.strategies.exact import same_network


def resnet(depth: int = 11, num_classes: int = 3, in_channels: int = 3) -> PrunableModel:
    return create_model("resnet", depth=depth, num_classes=num_classes, in_channels=in_channels)


def test_the_tensors_themselves_are_proposed() -> None:
    source, target = resnet().state_dict(), resnet()
    proposal = same_network(source, target)
    assert list(proposal.tensors) == list(target.state_dict())
    assert all(tensor is source[key] for key, tensor in proposal.tensors.items())
    assert {(entry.status, entry.operation) for entry in proposal.statuses} == {("mapped", "copied")}


def test_of_other_images_and_classes_only_the_two_ends_change() -> None:
    source, target = resnet().state_dict(), resnet(num_classes=5, in_channels=1)
    proposal = same_network(source, target)
    assert torch.equal(proposal.tensors["conv1.weight"], source["conv1.weight"].sum(1, keepdim=True))
    changed = {entry.key: (entry.status, entry.reason) for entry in proposal.statuses if entry.operation != "copied"}
    assert changed == {
        "conv1.weight": ("mapped", "3 input channels fitted to 1"),
        "fc.weight": ("skipped", "shape (3, 256) in the source, (5, 256) here"),
        "fc.bias": ("skipped", "shape (3,) in the source, (5,) here"),
    }


def test_a_deeper_network_is_refused_with_ten_of_its_differences() -> None:
    with pytest.raises(UsageError) as caught:
        same_network(resnet(20).state_dict(), resnet())
    text = str(caught.value)
    assert text.startswith(
        "strategy 'exact' needs the same network on both sides, and the source is another one than `arch='resnet'`: "
    )
    assert text.endswith(" more; type `arch='same'` for the source's own network, or another `strategy`")
    assert text.count("layer") == 10
