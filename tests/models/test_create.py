"""Networks by name, and names from bare weights."""

import pytest
import torch

import netslim
from netslim.core.errors import UsageError
from netslim.core.protocols import ArchSpec
from netslim.models import build, create_model, recognise


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "resnet18",
            "unknown architecture 'resnet18'; did you mean torchvision/resnet18 or timm/resnet18? (known: densenet, ",
        ),
        ("resnt", "unknown architecture 'resnt'; did you mean resnet? "),
        ("mlp", "unknown architecture 'mlp' (known: densenet, resnet, timm/NAME, torchvision/NAME, vgg)"),
    ],
)
def test_unknown_architectures(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        create_model(name)
    assert str(caught.value).startswith(message)


def test_an_argument_that_the_architecture_does_not_take() -> None:
    with pytest.raises(UsageError, match=r"^architecture 'resnet': .*unexpected keyword argument 'width'"):
        create_model("resnet", depth=11, width=2)


@pytest.mark.parametrize(
    "arguments", [{"depth": 11, "num_classes": 7, "in_channels": 1}, {"depth": 29}, {"depth": 164}]
)
def test_bare_weights_tell_what_they_are(arguments: dict[str, int]) -> None:
    model = create_model("resnet", **arguments)
    assert recognise(model.state_dict()) == model.arch == build(model.arch).arch


def test_bare_weights_of_a_pruned_network_tell_its_widths() -> None:
    torch.manual_seed(0)
    model = create_model("resnet", depth=20, num_classes=5, in_channels=1).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight)
    images = torch.randn(2, 1, 12, 12)
    small = netslim.apply(model, netslim.plan(model, images[:1], percent=0.5))
    found = recognise(small.state_dict())
    assert found is not None
    assert found == ArchSpec(name="resnet", arguments={**model.arch.arguments, "cfg": small.cfg})
    again = build(found).eval()
    again.load_state_dict(small.state_dict())
    assert again.cfg == small.cfg
    assert torch.equal(again(images), small(images))


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("conv1.weight", None),
        ("fc.weight", None),
        ("layer1.0.select.indexes", None),
        ("layer3.0.conv2.weight", None),
        ("fc.weight", (256,)),
        ("conv1.weight", (16,)),
        ("layer2.0.conv1.weight", ()),
    ],
)
def test_other_weights_are_not_recognised(key: str, shape: tuple[int, ...] | None) -> None:
    state = dict(create_model("resnet", depth=11).state_dict())
    del state[key]
    if shape is not None:
        state[key] = torch.zeros(shape)
    assert recognise(state) is None


def test_no_weights_are_not_recognised() -> None:
    assert recognise({}) is None
