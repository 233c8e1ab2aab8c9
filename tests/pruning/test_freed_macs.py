"""Weights of scales in proportion to the MACs that go with their channels."""

import pytest
import torch
from torch import nn

import netslim
from netslim.core.errors import UsageError
from netslim.models import create_model
from netslim.pruning.apply import apply
from netslim.pruning.freed_macs import freed_macs

EXAMPLE = torch.zeros(1, 1, 16, 16)


@pytest.mark.parametrize("arch", ["resnet", "torchvision/resnet18"])
def test_weights_are_in_proportion_to_the_macs_that_go_and_one_on_average(arch: str) -> None:
    arguments = {"depth": 11} if arch == "resnet" else {"stem": "cifar"}
    model = create_model(arch, num_classes=4, in_channels=1, **arguments)
    weights = freed_macs(model, EXAMPLE)
    assert float(torch.cat([*weights.values()]).mean()) == pytest.approx(1.0)
    norms = {name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert set(weights) == norms

    plan, dense = netslim.plan(model, EXAMPLE, percent=0), netslim.measure(model, EXAMPLE).macs
    ratios = []
    for number in (0, 1, len(plan.groups) - 1):
        data = plan.to_dict()
        data["groups"][number]["keep"] = data["groups"][number]["keep"][1:]
        less = netslim.measure(apply(model, plan_of(data)), EXAMPLE).macs
        name = model.channel_groups()[number].scales[0]
        ratios.append(float(weights[name][0]) / (dense - less))
    assert ratios == pytest.approx([ratios[0]] * 3, rel=1e-4)


def plan_of(data: dict[str, object]) -> netslim.PrunePlan:
    from netslim.pruning import plan_from_dict

    return plan_from_dict(data)


def test_what_a_selection_does_not_choose_and_what_no_group_has_frees_nothing() -> None:
    model = create_model("resnet", depth=11, num_classes=4, in_channels=1)
    small = netslim.apply(model, netslim.plan(model, EXAMPLE, percent=0.4))
    weights = freed_macs(small, EXAMPLE)
    for group in small.channel_groups():
        if group.selection is not None:
            chosen = small.get_submodule(group.selection).indexes
            assert torch.equal(weights[group.scales[0]] > 0, chosen > 0)
    library = create_model("torchvision/resnet18", num_classes=4, in_channels=1, stem="cifar")
    assert not freed_macs(library, EXAMPLE)["bn1"].any()


def test_a_network_without_removable_channels_is_refused() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bn = nn.BatchNorm2d(1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.bn(x)
            return out

    with pytest.raises(UsageError):
        freed_macs(Plain(), EXAMPLE)
