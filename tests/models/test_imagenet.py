"""torchvision's and timm's ResNets as architectures: the library's own network, with groups that can really be cut."""

import copy
import json
from pathlib import Path

import pytest
import timm
import torch
from timm.layers.blur_pool import BlurPool2d
from torch import Tensor, nn
from torchvision import models as torchvision_models

import netslim
from netslim.core.checkpoint import write_checkpoint
from netslim.core.errors import CheckpointError, UsageError
from netslim.core.protocols import ArchSpec, PrunableModel
from netslim.models import ARCHITECTURES, build, check_known, create_model
from netslim.models.imagenet import LibraryResNet
from netslim.models.libraries.timm import WITHOUT_BATCHNORM, resnets
from netslim.network import describe

KINDS = [
    "torchvision/resnet18",
    "timm/test_resnet",
    "timm/ecaresnet26t",
    "timm/resnetblur18",
    "timm/resnetv2_18",
    "timm/legacy_seresnet18",
]
GROUPED = "torchvision/resnext50_32x4d"


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> PrunableModel:
    return small(request.param)


def images(channels: int = 3, size: int = 32) -> Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))


def library_network(name: str) -> nn.Module:
    library, _, model = name.partition("/")
    network: nn.Module = (
        torchvision_models.get_model(model, weights=None)
        if library == "torchvision"
        else timm.create_model(model, pretrained=False)
    )
    return network


def randomised(model: nn.Module) -> nn.Module:
    """In eval mode, with BatchNorms of which no scale, shift or statistic is 0 or 1."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 1.0)
            nn.init.normal_(module.bias, std=0.3)
            module.running_mean = 0.1 * torch.randn_like(module.bias)
            module.running_var = torch.empty_like(module.bias).uniform_(0.5, 2.0)
    return model.eval()


def small(name: str, **arguments: object) -> PrunableModel:
    """The network for small grey images and five classes."""
    model = create_model(name, **{"num_classes": 5, "in_channels": 1, "stem": "cifar", **arguments})
    randomised(model)
    return model


def fed_to_the_first_stage(model: nn.Module, batch: Tensor) -> torch.Size:
    """Shape of what the stem gives."""
    stage = model.get_submodule("stages" if hasattr(model, "stages") else "layer1")
    seen = []
    hook = stage.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    with torch.no_grad():
        model(batch)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize(
    "name", ["torchvision/resnet18", "timm/test_resnet", "timm/resnetblur18", "timm/resnetv2_18", GROUPED]
)
def test_it_is_the_librarys_own_network(name: str) -> None:
    theirs, ours = randomised(library_network(name)), create_model(name).eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert isinstance(ours, type(theirs))
    assert isinstance(ours, LibraryResNet)
    with torch.no_grad():
        logits = theirs(images())
        assert torch.equal(ours(images()), logits)
        back = library_network(name).eval()
        back.load_state_dict(ours.state_dict())
        assert torch.equal(back(images()), logits)


def test_the_small_stem_keeps_the_resolution(kind: PrunableModel) -> None:
    channels = 32 if kind.arch.name == "timm/test_resnet" else 64
    assert fed_to_the_first_stage(kind, images(1)) == (2, channels, 32, 32)


def test_the_large_stem_divides_the_resolution_by_four() -> None:
    for name in ("torchvision/resnet18", "timm/resnetv2_18"):
        model = create_model(name, in_channels=4).eval()
        assert fed_to_the_first_stage(model, images(4)) == (2, 64, 8, 8)


def strided(model: nn.Module, prefix: tuple[str, ...]) -> list[tuple[str, tuple[int, ...], object]]:
    convs = [(n, m) for n, m in model.named_modules() if n.startswith(prefix) and isinstance(m, nn.Conv2d)]
    return [(name, tuple(conv.weight.shape), conv.stride) for name, conv in convs]


@pytest.mark.parametrize(
    ("name", "stem", "expected"),
    [
        ("torchvision/resnet18", ("conv1",), [("conv1", (64, 1, 3, 3), (1, 1))]),
        ("timm/resnetv2_18", ("stem",), [("stem.conv", (64, 1, 3, 3), (1, 1))]),
        (
            "timm/resnet26d",
            ("conv1",),
            [
                ("conv1.0", (32, 1, 3, 3), (1, 1)),
                ("conv1.3", (32, 32, 3, 3), (1, 1)),
                ("conv1.6", (64, 32, 3, 3), (1, 1)),
            ],
        ),
        (
            "timm/resnetrs50",  # pools by a convolution
            ("conv1", "maxpool"),
            [
                ("conv1.0", (32, 1, 3, 3), (1, 1)),
                ("conv1.3", (32, 32, 3, 3), (1, 1)),
                ("conv1.6", (64, 32, 3, 3), (1, 1)),
                ("maxpool.0", (64, 64, 3, 3), (1, 1)),
            ],
        ),
    ],
)
def test_the_convolutions_of_the_small_stem(name: str, stem: tuple[str, ...], expected: list[object]) -> None:
    with torch.device("meta"):
        model = create_model(name, in_channels=1, stem="cifar")
    assert strided(model, stem) == expected


def unallocated(name: str) -> PrunableModel:
    with torch.device("meta"):
        return create_model(name)


def test_the_groups_of_bottlenecks_are_their_inner_widths() -> None:
    model = unallocated("torchvision/resnet50")
    assert model.cfg == [64] * 6 + [128] * 8 + [256] * 12 + [512] * 6
    first = model.channel_groups()[0]
    assert (first.name, first.scales) == ("layer1.0.bn1", ("layer1.0.bn1",))
    assert first.producers == ("layer1.0.conv1", "layer1.0.bn1")
    assert [consumer.module for consumer in first.consumers] == ["layer1.0.conv2"]


def test_the_groups_of_other_blocks() -> None:
    assert unallocated("timm/resnet18").cfg == [64] * 2 + [128] * 2 + [256] * 2 + [512] * 2
    before = unallocated("timm/resnetv2_50d").channel_groups()
    assert [group.name for group in before[:2]] == ["stages.0.blocks.0.norm2", "stages.0.blocks.0.norm3"]
    assert before[1].producers == ("stages.0.blocks.0.conv2", "stages.0.blocks.0.norm3")
    assert before[1].consumers[0].module == "stages.0.blocks.0.conv3"


def test_grouped_convolutions_have_no_channel_groups() -> None:
    assert unallocated(GROUPED).channel_groups() == []
    assert unallocated(GROUPED).cfg == []


def test_pruning_holds_and_survives_a_file(kind: PrunableModel, tmp_path: Path) -> None:
    plan = netslim.plan(kind, images(1)[:1], percent=0.5)
    pruned = netslim.apply(kind, plan)
    assert netslim.verify(kind, pruned, images(1)).holds
    assert pruned.cfg == [len(group.keep) for group in plan.groups]
    assert sum(pruned.cfg) < sum(kind.cfg)
    assert plan.after.params < plan.before.params
    netslim.save(tmp_path / "n.pth.tar", pruned)
    again = netslim.load(tmp_path / "n.pth.tar")
    assert (again.arch, again.plan, again.cfg) == (kind.arch, plan, pruned.cfg)
    with torch.no_grad():
        assert torch.equal(again(images(1)), pruned(images(1)))
        assert pruned(images(1)).shape == (2, 5)


def test_pruning_twice_is_one_plan() -> None:
    model = small("timm/resnetblur18")
    once = netslim.apply(model, netslim.plan(model, images(1), percent=0.3))
    twice = netslim.apply(once, netslim.plan(once, images(1), percent=0.3))
    assert twice.plan is not None
    assert netslim.verify(model, twice, images(1)).holds


def test_blur_layers_keep_their_filter_and_forget_their_channels() -> None:
    blurs = [
        [module for module in model.modules() if isinstance(module, BlurPool2d)]
        for model in (library_network("timm/resnetblur18"), create_model("timm/resnetblur18"))
    ]
    assert len(blurs[0]) == len(blurs[1]) == 4
    for theirs, ours in zip(*blurs, strict=True):
        assert torch.equal(ours.filt.expand_as(theirs.filt), theirs.filt)


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/resnetv2_18"])
def test_a_copy_is_independent(name: str) -> None:
    model = small(name)
    copied = copy.deepcopy(model)
    assert type(copied) is type(model)
    assert copied.arch == model.arch
    with torch.no_grad():
        before = copied(images(1))
        next(model.parameters()).zero_()
        assert torch.equal(copied(images(1)), before)


@pytest.mark.parametrize("name", ["timm/test_resnet", "timm/resnetv2_18"])
def test_every_parameter_learns(name: str) -> None:
    model = small(name).train()
    model(images(1)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("torchvision/resnet18", {"num_classes": 1000, "in_channels": 3, "stem": "imagenet"}),
        ("timm/test_resnet", {"num_classes": 7, "in_channels": 1, "stem": "cifar"}),
        ("timm/ecaresnet50d_pruned", {"num_classes": 7, "in_channels": 1, "stem": "imagenet"}),
    ],
)
def test_the_architecture_rebuilds_the_network(name: str, arguments: dict[str, object]) -> None:
    model = create_model(name, **arguments)
    assert model.arch == ArchSpec(name=name, arguments=arguments)
    assert json.loads(json.dumps(model.arch.to_dict())) == model.arch.to_dict()
    shapes = {key: tensor.shape for key, tensor in model.state_dict().items()}
    assert {key: tensor.shape for key, tensor in build(model.arch).state_dict().items()} == shapes
    assert next(shape[1] for shape in shapes.values() if len(shape) == 4) == arguments["in_channels"]


def test_everything_but_the_arguments_is_default() -> None:
    assert create_model("timm/test_resnet").arch.arguments == {
        "num_classes": 1000,
        "in_channels": 3,
        "stem": "imagenet",
    }


# Names


def refusal(name: str, **arguments: object) -> str:
    with pytest.raises(UsageError) as caught:
        create_model(name, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvison/resnet50", "unknown library 'torchvison'; did you mean torchvision? (known: timm, torchvision)"),
        (
            "torchvision/resnet51",
            "unknown torchvision network 'resnet51'; did you mean resnet50 or resnet18 or resnet152? (known: alexnet, ",
        ),
        (
            "timm/resnet50.a1_in1k",
            "timm/resnet50.a1_in1k: the tag 'a1_in1k' names weights, not a network; type timm/resnet50",
        ),
    ],
)
def test_names_that_are_refused(name: str, message: str) -> None:
    assert refusal(name).startswith(message)
    with pytest.raises(UsageError):
        check_known(name)


@pytest.mark.parametrize(
    "name", [pytest.param("torchvision/vgg11", marks=pytest.mark.slow), "timm/test_nfnet", "timm/test_convnext"]
)
def test_networks_without_batchnorm_are_pruned_by_other_criteria(name: str, tmp_path: Path) -> None:
    network, images = create_model(name, num_classes=10), torch.zeros(2, 3, 64, 64)
    with pytest.raises(UsageError, match="has no BatchNorm, whose scales criterion 'bn_scale' reads; criteria that "):
        netslim.plan(network, images, percent=0.3)
    small = netslim.apply(network, netslim.plan(network, images, percent=0.3, criterion="l2_norm"))
    assert netslim.verify(network, small, torch.randn(2, 3, 64, 64)).holds
    netslim.save(tmp_path / "small.pth.tar", small)
    again = netslim.load(tmp_path / "small.pth.tar").eval()
    assert torch.equal(again(images), small.eval()(images))


def test_an_unknown_timm_network_gets_the_nearest_names() -> None:
    assert refusal("timm/resnt50").startswith("unknown timm network 'resnt50'; did you mean resnet50 or ")
    assert refusal("timm/").startswith("unknown timm network '' (known: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stem": "cifr"}, "unknown stem 'cifr'; did you mean cifar? (known: cifar, imagenet)"),
        ({"num_classes": 0}, "num_classes 0 and in_channels 3: both are at least 1"),
        ({"in_channels": 0}, "num_classes 1000 and in_channels 0: both are at least 1"),
        (
            {"depth": 50},
            "architecture 'torchvision/resnet18': library_network() got an unexpected keyword argument 'depth'",
        ),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, object], message: str) -> None:
    assert refusal("torchvision/resnet18", **arguments) == message


def test_the_networks_left_out_are_those_without_batchnorm() -> None:
    names = [*timm.list_models("*50*", module="resnetv2"), "resnetv2_18", "resnet50_gn", "legacy_seresnet18"]
    for name in names:
        with torch.device("meta"):
            modules = [*timm.create_model(name, pretrained=False).modules()]
        has_batchnorm = any(isinstance(module, nn.BatchNorm2d) for module in modules)
        assert (name in resnets()) == has_batchnorm == (not name.endswith(WITHOUT_BATCHNORM)), name


def test_a_known_name_is_checked_without_building() -> None:
    assert callable(check_known("torchvision/resnet152"))
    assert check_known("resnet") is ARCHITECTURES.get("resnet").build


def test_a_file_of_a_network_that_this_library_does_not_have(tmp_path: Path) -> None:
    checkpoint = describe(small("timm/test_resnet"))
    checkpoint.arch = ArchSpec(name="timm/resnet50_other", arguments={})
    write_checkpoint(tmp_path / "n.pth.tar", checkpoint)
    with pytest.raises(CheckpointError) as caught:
        netslim.load(tmp_path / "n.pth.tar")
    assert str(caught.value).startswith(f"{tmp_path / 'n.pth.tar'}: unknown timm network 'resnet50_other'")
