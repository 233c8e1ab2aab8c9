"""Groups that networks declare, and those that are derived instead."""

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import ChannelGroup, Consumer, PrunableModel
from netslim.models import create_model
from netslim.pruning import apply, plan, verify
from pruning import structures
from pruning.networks import randomised
from pruning.structures import SHAPE


def test_coupled_streams_of_a_network_that_has_selections() -> None:
    torch.manual_seed(0)
    model = randomised(create_model("resnet", depth=11, num_classes=3, in_channels=1))
    images = torch.randn(2, 1, 8, 8)
    decided = plan(model, images, percent=0.5, residual="couple")
    assert [group.total for group in decided.groups if group.name.endswith(("bn1", "bn"))]
    small = apply(model, decided)
    assert verify(model, small, images).holds
    assert small.select.selected == small.select.channels
    assert plan(model, images, percent=0.5, residual="select").groups == plan(model, images, percent=0.5).groups


def test_residual_forms_that_do_not_exist() -> None:
    with pytest.raises(UsageError) as caught:
        plan(structures.Residual(), torch.zeros(SHAPE), percent=0.5, residual="select")
    assert str(caught.value) == (
        "`residual='select'`: the blocks of Residual have no channel selection before their first layer; "
        "type `residual='couple'`"
    )
    with pytest.raises(UsageError) as caught:
        plan(structures.Residual(), torch.zeros(SHAPE), percent=0.5, residual="add")
    assert str(caught.value) == "`residual='add'`: select, couple"
    model = create_model("resnet", depth=11)
    once = apply(model, plan(model, torch.zeros(SHAPE), percent=0.3))
    with pytest.raises(UsageError) as caught:
        plan(once, torch.zeros(SHAPE), percent=0.3, residual="couple")
    assert str(caught.value) == "resnet was pruned by other channel groups before; type `residual='select'` again"


class Declared(PrunableModel):
    """A network whose one group is whatever a test says."""

    def __init__(self, **group: object) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.depthwise = nn.Conv2d(4, 4, 3, groups=4)
        self.bn, self.plain = nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)
        self.fc = nn.Linear(4, 4)
        self.declared = {"name": "g", "scales": ("bn",)} | group

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.plain(self.bn(self.depthwise(self.conv(x)))).mean((2, 3)))

    def channel_groups(self) -> list[ChannelGroup]:
        return [ChannelGroup(**self.declared)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"scales": ()}, "group 'g' has no BatchNorm with a scale to score its channels with"),
        ({"scales": ("conv",)}, "group 'g' has no BatchNorm with a scale to score its channels with"),
        ({"scales": ("bn", "plain")}, "group 'g' has no BatchNorm with a scale to score its channels with"),
        ({"producers": ("fc",)}, "channels of a Linear can't be removed"),
        ({"producers": ("depthwise",)}, "channels of a Conv2d can't be removed"),
        ({"consumers": (Consumer(module="depthwise"),)}, "inputs of a Conv2d can't be removed"),
        ({"consumers": (Consumer(module="bn"),)}, "inputs of a BatchNorm2d can't be removed"),
        ({"selection": "conv"}, "group 'g' names 'conv' as its selection, which is a Conv2d"),
    ],
)
def test_declarations_that_cannot_be_carried_out(group: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(Declared(**group), torch.zeros(1, 4, 3, 3), percent=0.5)
    assert str(caught.value) == message
