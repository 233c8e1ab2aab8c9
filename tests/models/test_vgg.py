"""The original's VGG: published numbers, names and widths, and every size it must take."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import netslim
from netslim.core.errors import UsageError
from netslim.core.protocols import ArchSpec
from netslim.cost import count_params, measure
from netslim.models import build, create_model, recognise

FULL = {
    11: [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512],
    13: [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512],
    16: [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512],
    19: [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4],
}
PARAMETERS = {11: 9_228_362, 13: 9_413_066, 16: 14_724_042, 19: 20_035_018}
SMALL = [4, "M", 6, "M", 8, 7, "M", 9, 5, "M", 6, 10]


def cost(cfg: list[int | str], classes: int = 10, channels: int = 3, side: int = 32) -> tuple[int, int]:
    """(learnable parameters, MACs of one image), as arithmetic; a side that is odd is pooled to its larger half."""
    params = macs = 0
    for entry in cfg:
        if entry == "M":
            side = (side + 1) // 2
            continue
        weights, channels = 9 * channels * entry, entry
        params, macs = params + weights + 2 * entry, macs + weights * side**2
    return params + (channels + 1) * classes, macs + channels * classes


def small(channels: int = 1, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = create_model("vgg", depth=11, num_classes=4, in_channels=channels, cfg=SMALL).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model


@pytest.mark.parametrize("depth", FULL)
def test_widths_and_learnable_parameters(depth: int) -> None:
    with torch.device("meta"):
        model = create_model("vgg", depth=depth)
    assert model.cfg == FULL[depth]
    assert count_params(model) == PARAMETERS[depth] == cost(FULL[depth])[0]
    assert model.arch.arguments == {"depth": depth, "num_classes": 10, "in_channels": 3}
    assert recognise(model.state_dict()) == model.arch


def test_depth_19_has_the_published_size() -> None:
    model = create_model("vgg")
    found = measure(model, torch.zeros(1, 3, 32, 32))
    assert (found.params, found.macs) == (20_035_018, 398_136_320) == cost(FULL[19])
    assert round(found.params / 1e6, 2) == 20.04
    assert cost(FULL[19], classes=100)[0] == found.params + 90 * 513


@given(
    st.lists(st.integers(1, 12), min_size=8, max_size=8),
    st.integers(1, 12),
    st.sampled_from([1, 3]),
    st.integers(1, 40),
)
@settings(max_examples=15, deadline=None)
def test_any_widths_cost_what_arithmetic_says(widths: list[int], classes: int, channels: int, side: int) -> None:
    rest = iter(widths)
    cfg = [entry if entry == "M" else next(rest) for entry in FULL[11]]
    model = create_model("vgg", depth=11, num_classes=classes, in_channels=channels, cfg=cfg)
    found = measure(model, torch.zeros(1, channels, side, side))
    assert (found.params, found.macs) == cost(cfg, classes, channels, side)
    assert model.cfg == cfg


def test_the_state_dict_has_the_original_names_in_the_original_order() -> None:
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    places = [0, 4, 8, 11, 15, 18, 22, 25]
    keys = [key for k in places for key in (f"feature.{k}.weight", *(f"feature.{k + 1}.{part}" for part in parts))]
    assert list(small().state_dict()) == [*keys, "classifier.weight", "classifier.bias"]


def test_every_convolution_is_a_group_between_its_neighbours() -> None:
    model = small()
    groups = model.channel_groups()
    for group, following in pairwise(groups):
        assert group.consumers[0].module == following.producers[0]
    assert [group.scales for group in groups] == [(group.producers[1],) for group in groups]
    assert groups[-1].consumers[0].module == "classifier"
    assert all(group.selection is None for group in groups)
    names = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert [group.name for group in groups] == names


def test_initialisation() -> None:
    torch.manual_seed(0)
    model = create_model("vgg", depth=11)
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 0.5).all(), name
            assert (module.bias == 0).all(), name
        if isinstance(module, nn.Conv2d):
            spread = 5 / module.weight.numel() ** 0.5
            assert abs(float(module.weight.detach().std()) / (2 / (9 * module.out_channels)) ** 0.5 - 1) < spread, name
            assert module.bias is None
    assert abs(float(model.classifier.weight.detach().std()) / 0.01 - 1) < 0.05
    assert (model.classifier.bias == 0).all()


def test_at_32_pixels_it_is_the_originals_fixed_poolings() -> None:
    model, x = small(3), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        logits, out = model(x), x
        for layer in model.feature:
            out = F.max_pool2d(out, 2, 2) if isinstance(layer, nn.MaxPool2d) else layer(out)
        assert torch.equal(model.classifier(F.avg_pool2d(out, 2).flatten(1)), logits)


MODELS = {channels: small(channels) for channels in (1, 3)}


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]))
@settings(max_examples=15, deadline=None)
def test_images_of_many_sizes(height: int, width: int, channels: int) -> None:
    with torch.no_grad():
        logits = MODELS[channels](torch.randn(2, channels, height, width))
    assert logits.shape == (2, 4)
    assert logits.isfinite().all()


@pytest.mark.parametrize("side", [17, 28])
def test_the_borders_of_an_odd_side_count(side: int) -> None:
    model, images = MODELS[1], torch.randn(1, 1, side, side)
    changed = images.clone()
    changed[..., -1, -1] += 10
    with torch.no_grad():
        assert not torch.equal(model(images), model(changed))


def test_every_parameter_learns() -> None:
    model = small().train()
    model(torch.randn(4, 1, 8, 8)).logsumexp(1).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@given(st.floats(0, 0.95), st.integers(0, 10_000), st.integers(1, 4))
@settings(deadline=None, max_examples=15)
def test_masked_and_rebuilt_agree(percent: float, seed: int, floor: int) -> None:
    model, images = small(1, seed), torch.randn(2, 1, 16, 16)
    plan = netslim.plan(model, images[:1], percent=percent, min_channels=floor)
    pruned = netslim.apply(model, plan)
    assert netslim.verify(model, pruned, images).agrees
    assert [entry for entry in pruned.cfg if entry != "M"] == [len(group.keep) for group in plan.groups]
    found = recognise(pruned.state_dict())
    assert found == ArchSpec(name="vgg", arguments={**model.arch.arguments, "cfg": pruned.cfg})
    assert build(found).cfg == pruned.cfg


@pytest.mark.parametrize("depth", [-1, 0, 8, 18, 20, 164])
def test_a_wrong_depth_is_answered_with_the_depths_there_are(depth: int) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("vgg", depth=depth)
    assert str(caught.value) == f"`depth={depth}`: the depth of a VGG is 11, 13, 16 or 19"


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ([], "cfg has 0 entries; a VGG of depth 11 has 12"),
        ([*SMALL, 8], "cfg has 13 entries; a VGG of depth 11 has 12"),
        ([65, *SMALL[1:]], "cfg[0] is 65; a VGG of depth 11 allows 1 to 64 there"),
        ([*SMALL[:-1], 0], "cfg[11] is 0; a VGG of depth 11 allows 1 to 512 there"),
        (["M", *SMALL[1:]], "cfg[0] is M; a VGG of depth 11 allows 1 to 64 there"),
        ([4, 4, *SMALL[2:]], "cfg[1] is 4; a VGG of depth 11 has M there"),
        ([4, "A", *SMALL[2:]], "cfg[1] is A; a VGG of depth 11 has M there"),
    ],
)
def test_widths_that_do_not_fit(cfg: list[int | str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("vgg", depth=11, cfg=cfg)
    assert str(caught.value) == message


@pytest.mark.parametrize(("classes", "channels"), [(0, 3), (10, 0)])
def test_no_classes_or_no_channels(classes: int, channels: int) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("vgg", depth=11, num_classes=classes, in_channels=channels)
    assert str(caught.value) == f"num_classes {classes} and in_channels {channels}: both are at least 1"


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("feature.0.weight", None),
        ("feature.4.weight", None),
        ("classifier.weight", None),
        ("classifier.weight", (10,)),
        ("feature.8.weight", (8, 6)),
        ("feature.28.weight", (8, 10, 3, 3)),
    ],
)
def test_other_weights_are_not_recognised(key: str, shape: tuple[int, ...] | None) -> None:
    state = dict(small().state_dict())
    state.pop(key, None)
    if shape is not None:
        state[key] = torch.zeros(shape)
    assert recognise(state) is None
