"""What is read from a state dict: blocks, dense kernels, stems as one kernel, and each BatchNorm in its place."""

import pytest
import timm
import torch
import torch.nn.functional as F
from source_networks import SmallResNet, library_state
from torch import Tensor, nn
from torchvision import models
from torchvision.models.resnet import Bottleneck, ResNet

from netslim.core.errors import UsageError
from netslim.models import create_model
from netslim.transfers.resnet_layout import Norm, read_layout

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_the_blocks_of_a_post_activation_bottleneck() -> None:
    layout = read_layout(library_state("torchvision", "resnet50"))
    assert [len(stage) for stage in layout.stages] == [3, 4, 6, 3]
    assert (layout.stem.key, layout.stem.weight.shape, layout.norm) == ("conv1.weight", (64, 3, 7, 7), None)
    block = layout.stages[2][0]
    assert (block.name, block.basic, block.norm) == ("layer3.0", False, None)
    assert [conv.key for conv in block.convs] == [f"layer3.0.conv{number}.weight" for number in (1, 2, 3)]
    assert [conv.norm and conv.norm.key for conv in block.convs] == [f"layer3.0.bn{number}" for number in (1, 2, 3)]
    assert block.shortcut is not None
    assert block.shortcut.norm is not None
    assert (block.shortcut.key, block.shortcut.norm.key) == ("layer3.0.downsample.0.weight", "layer3.0.downsample.1")
    assert all(block.shortcut is None for block in layout.stages[2][1:])


def test_a_basic_block_has_two_convolutions() -> None:
    layout = read_layout(library_state("torchvision", "resnet34"))
    assert all(block.basic for stage in layout.stages for block in stage)
    assert [len(stage) for stage in layout.stages] == [3, 4, 6, 3]


def test_the_norms_of_a_pre_activation_network_stand_before_the_convolutions() -> None:
    layout = read_layout(library_state("timm", "resnetv2_50"))
    assert layout.norm is not None
    assert (layout.norm.key, layout.stem.key, layout.stem.norm) == ("norm", "stem.conv.weight", None)
    block = layout.stages[1][0]
    assert block.norm is not None
    assert block.norm.key == "stages.1.blocks.0.norm1"
    found = [conv.norm.key if conv.norm else None for conv in block.convs]
    assert found == ["stages.1.blocks.0.norm2", "stages.1.blocks.0.norm3", None]
    assert block.shortcut is not None
    assert (block.shortcut.key, block.shortcut.norm) == ("stages.1.blocks.0.downsample.conv.weight", None)


def test_the_d_variants_convolution_stands_behind_a_pooling() -> None:
    shortcut = read_layout(library_state("timm", "resnet26d")).stages[1][0].shortcut
    assert shortcut is not None
    assert shortcut.norm is not None
    assert (shortcut.key, shortcut.norm.key) == ("layer2.0.downsample.1.weight", "layer2.0.downsample.2")


@pytest.mark.parametrize("name", ["seresnet18", "ecaresnet26t", "legacy_seresnet18"])
def test_attention_is_left_out(name: str) -> None:
    layout = read_layout(library_state("timm", name))
    assert [len(stage) for stage in layout.stages] == [2, 2, 2, 2]
    assert len(layout.stages[0][0].convs) == (3 if "26" in name else 2)


@pytest.mark.parametrize(
    ("library", "name"),
    [("torchvision", "resnet101"), ("timm", "resnet26t"), ("timm", "resnetv2_101"), ("timm", "test_resnet")],
)
def test_the_order_of_the_keys_does_not_matter(library: str, name: str) -> None:
    """safetensors files come in the order of names, where block 10 stands before block 2 and bn1 before conv1."""
    state = library_state(library, name)
    expected, found = read_layout(state), read_layout({key: state[key] for key in sorted(state)})
    assert [[b.name for b in stage] for stage in found.stages] == [[b.name for b in stage] for stage in expected.stages]
    assert found.stem.key == expected.stem.key
    assert torch.equal(found.stem.weight, expected.stem.weight)
    assert (found.stem.norm and found.stem.norm.key) == (expected.stem.norm and expected.stem.norm.key)


def test_block_ten_follows_block_nine() -> None:
    state = library_state("torchvision", "resnet101")
    names = [block.name for block in read_layout({key: state[key] for key in sorted(state)}).stages[2]]
    assert names == [f"layer3.{number}" for number in range(23)]


def test_a_grouped_kernel_becomes_a_block_diagonal() -> None:
    torch.manual_seed(0)
    network = ResNet(Bottleneck, [1, 1, 1, 1], groups=8, width_per_group=4)
    layout = read_layout(network.state_dict())
    for stage, layer in zip(layout.stages, (network.layer1, network.layer2, network.layer3), strict=False):
        grouped, dense = layer[0].conv2, stage[0].convs[1].weight
        width = grouped.in_channels
        assert grouped.groups == 8
        assert dense.shape == (width, width, 3, 3)
        inputs = torch.randn(2, width, 9, 9)
        expected = grouped(inputs)
        torch.testing.assert_close(F.conv2d(inputs, dense, stride=grouped.stride, padding=1), expected)
        assert dense.count_nonzero() == grouped.weight.count_nonzero()


def in_a_row(stem: nn.Sequential, factors: list[Tensor | None], images: Tensor) -> Tensor:
    """The stem's convolutions, with a factor per channel after each, and nothing else."""
    convs = [module for module in stem.modules() if isinstance(module, nn.Conv2d)]
    for conv, factor in zip(convs, factors, strict=True):
        images = conv(images) if factor is None else conv(images) * factor[:, None, None]
    return images


@pytest.mark.parametrize("ordered", [True, False])
def test_a_deep_stem_is_one_kernel_away_from_the_borders(ordered: bool) -> None:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 1.0)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    state = network.state_dict()
    stem = read_layout(state if ordered else {key: state[key] for key in sorted(state)}).stem
    assert stem.weight.shape == (32, 3, 11, 11)
    assert stem.norm is not None
    assert (stem.key, stem.norm.key) == ("conv1.6.weight", "bn1")
    factors = [state[f"{bn}.weight"] / (state[f"{bn}.running_var"] + 1e-5).sqrt() for bn in ("conv1.1", "conv1.4")]
    with torch.no_grad():
        expected = in_a_row(network.conv1, [*factors, None], IMAGES)
    found = F.conv2d(IMAGES, stem.weight, stride=2, padding=5)
    assert found.shape == expected.shape
    torch.testing.assert_close(found[..., 3:-3, 3:-3], expected[..., 3:-3, 3:-3], rtol=1e-4, atol=1e-5)


def test_the_deep_stem_of_a_pre_activation_network_ends_without_a_norm() -> None:
    stem = read_layout(library_state("timm", "resnetv2_50t")).stem
    assert (stem.key, stem.weight.shape, stem.norm) == ("stem.conv3.weight", (64, 3, 11, 11), None)


def test_a_norm_says_what_it_does_in_eval_mode() -> None:
    module = SmallResNet(blocks=1).bn1
    state = {key: value for key, value in module.state_dict().items() if value.dim()}
    names = {"scale": "weight", "shift": "bias", "mean": "running_mean", "var": "running_var"}
    norm = Norm(key="bn1", **{ours: state[theirs] for ours, theirs in names.items()})
    x = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(x * norm.factor[:, None, None] + norm.offset[:, None, None], module(x))


def test_half_precision_is_read_as_float32() -> None:
    state = {key: tensor.half() for key, tensor in SmallResNet(blocks=1).state_dict().items()}
    layout = read_layout(state)
    block = layout.stages[1][0]
    assert block.shortcut is not None
    assert block.shortcut.norm is not None
    tensors = [layout.stem.weight, block.shortcut.weight, block.shortcut.norm.var, *(c.weight for c in block.convs)]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}


NOT_ONE = (
    r"^the source is not a ResNet: it has no layer1\.0\.conv1\.weight \(torchvision, timm\) and no "
    r"stages\.0\.blocks\.0\.conv1\.weight \(timm resnetv2\)$"
)


@pytest.mark.parametrize("name", ["vgg11", "mobilenet_v2", "convnext_tiny"])
def test_another_family_is_refused(name: str) -> None:
    with torch.device("meta"):
        state = models.get_model(name).state_dict()
    with pytest.raises(UsageError, match=NOT_ONE):
        read_layout(state)


def test_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=NOT_ONE):
        read_layout({})


def test_a_part_of_a_resnet_is_refused() -> None:
    state = SmallResNet(blocks=1).state_dict()
    with pytest.raises(UsageError, match=r"^the source is not a whole ResNet: it has 2 of at least 3 stages$"):
        read_layout({key: tensor for key, tensor in state.items() if not key.startswith("layer3")})
    with pytest.raises(UsageError, match=r"^the source is not a whole ResNet: it has no convolution before its first"):
        read_layout({key: tensor for key, tensor in state.items() if not key.startswith("conv1")})


def test_a_pre_activation_network_of_other_origin_is_refused_not_misread() -> None:
    """netslim's own has torchvision's names, but its bn1 stands before conv1."""
    with pytest.raises(
        UsageError,
        match=r"^the source is not a ResNet of torchvision or timm: layer1\.0\.conv3\.weight gives 64 channels, "
        r"and layer1\.0\.bn3 takes 16$",
    ):
        read_layout(create_model("resnet", depth=11).state_dict())
