"""The original's DenseNet: published numbers, names and widths, and every size it must take."""

import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import netslim
from netslim.core.errors import UsageError
from netslim.core.protocols import ArchSpec
from netslim.cost import count_params, measure
from netslim.models import ChannelSelection, build, create_model, recognise

PARAMETERS = {7: 17_026, 10: 45_178, 40: 1_059_298}
FULL = [24, 36, 36, 48, 48, 60]  # depth 7


def dense_cfg(depth: int) -> list[int]:
    layers = (depth - 4) // 3
    return [24 + 12 * (block * layers + layer) for block in range(3) for layer in range(layers + 1)]


def cost(
    depth: int, classes: int = 10, channels: int = 3, side: int = 32, cfg: list[int] | None = None
) -> tuple[int, int]:
    """(learnable parameters, MACs of one image), as arithmetic; a side that is odd is pooled to its smaller half."""
    layers, full = (depth - 4) // 3, dense_cfg(depth)
    params = 9 * channels * 24
    macs = params * side**2
    for number, (kept, stream) in enumerate(zip(cfg or full, full, strict=True), 1):
        block_ends, last = number % (layers + 1) == 0, number == len(full)
        weights = classes * kept if last else kept * (stream if block_ends else 9 * 12)
        params, macs = params + weights + 2 * stream, macs + weights * (1 if last else side**2)
        side = side // 2 if block_ends else side
    return params + classes, macs


def small(depth: int = 10, channels: int = 1, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = create_model("densenet", depth=depth, num_classes=4, in_channels=channels).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model


@pytest.mark.parametrize("depth", PARAMETERS)
def test_widths_and_learnable_parameters(depth: int) -> None:
    with torch.device("meta"):
        model = create_model("densenet", depth=depth)
    assert len(model.channel_groups()) == depth - 1  # 3n + 3
    assert count_params(model) == PARAMETERS[depth] == cost(depth)[0]
    assert recognise(model.state_dict()) == model.arch == create_model("densenet", depth=depth).arch


def test_depth_40_has_the_published_size() -> None:
    model = create_model("densenet")
    assert model.cfg == dense_cfg(40) == [*range(24, 169, 12), *range(168, 313, 12), *range(312, 457, 12)]
    found = measure(model, torch.zeros(1, 3, 32, 32))
    assert (found.params, found.macs) == (1_059_298, 282_917_328) == cost(40)
    selections = sum(value.numel() for key, value in model.state_dict().items() if key.endswith("indexes"))
    assert found.params + selections == 1_068_658  # the published count has the selection vectors in it
    assert selections == sum(model.cfg) == 9_360
    assert cost(40, classes=100)[0] == 1_100_428


@given(
    st.lists(st.integers(1, 24), min_size=6, max_size=6),
    st.integers(1, 12),
    st.sampled_from([1, 3]),
    st.integers(4, 40),
)
@settings(max_examples=15, deadline=None)
def test_any_widths_cost_what_arithmetic_says(cfg: list[int], classes: int, channels: int, side: int) -> None:
    model = create_model("densenet", depth=7, num_classes=classes, in_channels=channels, cfg=cfg)
    found = measure(model, torch.zeros(1, channels, side, side))
    assert (found.params, found.macs) == cost(7, classes, channels, side, cfg)
    assert model.cfg == cfg


def test_the_state_dict_has_the_original_names_in_the_original_order() -> None:
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys = ["conv1.weight"]
    for name in ("dense1.0", "dense1.1", "trans1", "dense2.0", "dense2.1", "trans2", "dense3.0", "dense3.1"):
        keys += [*(f"{name}.bn1.{part}" for part in parts), f"{name}.select.indexes", f"{name}.conv1.weight"]
    keys += [*(f"bn.{part}" for part in parts), "select.indexes", "fc.weight", "fc.bias"]
    assert list(small().state_dict()) == keys


def test_every_gamma_belongs_to_the_selection_behind_it() -> None:
    model = small()
    norms = {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    groups = model.channel_groups()
    assert [group.scales for group in groups] == [(name,) for name in norms]
    assert [norms[group.name].num_features for group in groups] == model.cfg
    selections = [name for name, module in model.named_modules() if isinstance(module, ChannelSelection)]
    assert [group.selection for group in groups] == selections
    assert not any(group.producers for group in groups)  # the streams keep their widths


def test_initialisation() -> None:
    torch.manual_seed(0)
    for name, module in create_model("densenet", depth=10).named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 0.5).all(), name
            assert (module.bias == 0).all(), name
        if isinstance(module, nn.Conv2d):
            std = (2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5
            assert abs(float(module.weight.detach().std()) / std - 1) < 5 / module.weight.numel() ** 0.5, name


def test_it_computes_what_the_paper_draws() -> None:
    """Every layer's output is appended to what it reads; two transitions halve the image; then a mean and a layer."""
    model, x = small(channels=3), torch.randn(2, 3, 32, 32)

    def read(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return layer.conv1(F.relu(layer.bn1(x)))

    with torch.no_grad():
        logits, out = model(x), model.conv1(x)
        for block in (1, 2, 3):
            for layer in model.get_submodule(f"dense{block}"):
                out = torch.cat([out, read(layer, out)], 1)
            if block < 3:
                out = F.avg_pool2d(read(model.get_submodule(f"trans{block}"), out), 2)
        expected = model.fc(F.avg_pool2d(F.relu(model.bn(out)), 8).flatten(1))
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


MODELS = {channels: small(7, channels) for channels in (1, 3)}


@given(st.integers(4, 40), st.integers(4, 40), st.sampled_from([1, 3]), st.booleans())
@settings(max_examples=15, deadline=None)
def test_images_of_many_sizes(height: int, width: int, channels: int, training: bool) -> None:
    with torch.no_grad():
        logits = MODELS[channels].train(training)(torch.randn(2, channels, height, width))
    assert logits.shape == (2, 4)
    assert logits.isfinite().all()


def test_every_parameter_learns() -> None:
    model = small().train()
    model(torch.randn(4, 1, 8, 8)).logsumexp(1).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


@given(st.sampled_from([7, 10, 19]), st.floats(0, 0.95), st.integers(0, 10_000), st.integers(1, 4))
@example(7, 0.9375, 247, 1)  # the last ReLU lets nothing through any more
@settings(deadline=None, max_examples=15)
def test_masked_and_rebuilt_agree(depth: int, percent: float, seed: int, floor: int) -> None:
    model, images = small(depth, 1, seed), torch.randn(2, 1, 12, 12)
    plan = netslim.plan(model, images[:1], percent=percent, min_channels=floor)
    pruned = netslim.apply(model, plan)
    agreement = netslim.verify(model, pruned, images)
    assert agreement.agrees
    logits = pruned.eval()(torch.cat([images, -images]))
    assert agreement.depends_on_input or torch.equal(logits, logits[:1].expand_as(logits))
    assert pruned.cfg == [len(group.keep) for group in plan.groups]
    found = recognise(pruned.state_dict())
    whole = {} if pruned.cfg == model.cfg else {"cfg": pruned.cfg}
    assert found == ArchSpec(name="densenet", arguments={**model.arch.arguments, **whole})
    assert build(found).cfg == pruned.cfg


def test_the_streams_keep_their_widths() -> None:
    model = small()
    pruned = netslim.apply(model, netslim.plan(model, torch.zeros(1, 1, 8, 8), percent=0.6))
    for (name, before), after in zip(model.named_modules(), pruned.modules(), strict=True):
        if isinstance(before, nn.BatchNorm2d):
            assert after.num_features == before.num_features, name
        elif isinstance(before, nn.Conv2d):
            assert after.out_channels == before.out_channels, name
            assert (after.in_channels < before.in_channels) == (name != "conv1"), name


@pytest.mark.parametrize(
    ("depth", "nearest"),
    [(-3, "7"), (0, "7"), (4, "7"), (6, "7"), (8, "7 or 10"), (39, "37 or 40"), (41, "40 or 43"), (164, "163 or 166")],
)
def test_a_wrong_depth_is_answered_with_the_nearest(depth: int, nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("densenet", depth=depth)
    assert str(caught.value) == f"`depth={depth}`: the depth of a DenseNet is 3n+4; the nearest is {nearest}"


@given(st.integers(-50, 400).filter(lambda depth: depth < 7 or depth % 3 != 1))
def test_the_named_depths_are_possible_and_nearest(depth: int) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("densenet", depth=depth)
    named = [int(number) for number in re.findall(r"\d+", str(caught.value).partition("nearest is")[2])]
    possible = range(7, 500, 3)
    assert set(named) <= set(possible)
    assert min(abs(depth - one) for one in named) == min(abs(depth - one) for one in possible)


def test_an_absurd_depth_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(UsageError, match=r"^`depth=99999999994`: at most 500$"):
        create_model("densenet", depth=99_999_999_994)


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ([], "cfg has 0 widths; a DenseNet of depth 7 has 6"),
        ([*FULL, 1], "cfg has 7 widths; a DenseNet of depth 7 has 6"),
        ([25, *FULL[1:]], "cfg[0] is 25; a DenseNet of depth 7 allows 1 to 24 there"),
        ([*FULL[:-1], 0], "cfg[5] is 0; a DenseNet of depth 7 allows 1 to 60 there"),
        (["M", *FULL[1:]], "cfg[0] is M; a DenseNet of depth 7 allows 1 to 24 there"),
    ],
)
def test_widths_that_do_not_fit(cfg: list[int], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("densenet", depth=7, cfg=cfg)
    assert str(caught.value) == message


def test_the_full_widths_are_the_unpruned_network() -> None:
    model = create_model("densenet", depth=7, cfg=FULL)
    assert model.arch == create_model("densenet", depth=7).arch
    assert model.arch.arguments == {"depth": 7, "num_classes": 10, "in_channels": 3}


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("conv1.weight", None),
        ("fc.weight", None),
        ("trans1.conv1.weight", None),
        ("dense1.0.select.indexes", None),
        ("dense3.0.conv1.weight", None),
        ("fc.weight", (48,)),
        ("dense2.0.conv1.weight", ()),
    ],
)
def test_other_weights_are_not_recognised(key: str, shape: tuple[int, ...] | None) -> None:
    state = dict(create_model("densenet", depth=7).state_dict())
    del state[key]
    if shape is not None:
        state[key] = torch.zeros(shape)
    assert recognise(state) is None
