"""Masked original and rebuilt network agree; nothing else changes."""

import copy
from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from netslim.core.protocols import PrunableModel, PrunePlan
from netslim.cost import measure
from netslim.models import create_model
from netslim.pruning import apply, plan, verify
from pruning import structures
from pruning.networks import EXAMPLE, edited, resnet, same, state_of


def silenced(model: PrunableModel, plan: PrunePlan, images: Tensor) -> Tensor:
    """Logits of the full network in float64 with the removed channels cut off behind their BatchNorm."""
    model = copy.deepcopy(model).double().eval()
    for group, part in zip(model.channel_groups(), plan.groups, strict=True):
        mask = torch.zeros(part.total, 1, 1, dtype=torch.float64)
        mask[list(part.keep)] = 1
        model.get_submodule(group.scales[0]).register_forward_hook(lambda _, __, out, mask=mask: out * mask)
    with torch.no_grad():
        return model(images.double())


@given(
    st.sampled_from([11, 20, 29]),
    st.floats(0, 0.95),
    st.integers(0, 10_000),
    st.integers(8, 13),
    st.sampled_from([1, 3]),
)
@settings(deadline=None, max_examples=25)
def test_masked_and_rebuilt_agree(depth: int, percent: float, seed: int, size: int, floor: int) -> None:
    model = resnet(depth, seed)
    images = torch.randn(2, 1, size, size)
    decided = plan(model, images[:1], percent=percent, min_channels=floor)
    small = apply(model, decided)
    agreement = verify(model, small, images)
    assert agreement.agrees
    expected = silenced(model, decided, images)
    with torch.no_grad():
        found = small.double()(images.double())
    assert agreement.depends_on_input or torch.equal(*found)  # with one channel its ReLU may let nothing through
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    assert small.cfg == [len(group.keep) for group in decided.groups]


def test_nothing_removed_is_the_same_network_to_the_bit() -> None:
    model = resnet(20)
    images = torch.randn(2, 1, 12, 12)
    small = apply(model, plan(model, images[:1], percent=0))
    assert torch.equal(small(images), model(images))
    assert same(small.state_dict(), model.state_dict())
    assert small.plan is not None
    assert small.plan.kept == small.plan.total


def test_the_input_is_not_touched() -> None:
    model = resnet().train()
    before, widths = state_of(model), model.cfg
    small = apply(model, plan(model, EXAMPLE, percent=0.6))
    small(torch.randn(4, 1, 8, 8)).sum().backward()
    with torch.no_grad():
        for tensor in small.state_dict().values():
            tensor.zero_()
    assert same(model.state_dict(), before)
    assert model.plan is None
    assert model.cfg == widths
    assert all(parameter.grad is None for parameter in model.parameters())


def test_at_ninety_nine_percent_everything_still_runs_forward_and_backward() -> None:
    model = resnet(20)
    decided = plan(model, EXAMPLE, percent=0.99)
    small = apply(model, decided)
    assert len(decided.clamped) > 5
    assert min(small.cfg) == 1
    assert verify(model, small, torch.randn(2, 1, 8, 8)).holds
    logits = small.train()(torch.randn(4, 1, 8, 8))
    assert logits.shape == (4, 3)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in small.parameters())


def test_every_group_may_keep_a_single_channel() -> None:
    model = resnet()
    small = apply(model, plan(model, EXAMPLE, percent=0.999999))
    assert small.cfg == [1] * 10
    assert verify(model, small, torch.randn(2, 1, 8, 8)).holds
    small.train()(torch.randn(2, 1, 8, 8)).sum().backward()


@given(st.floats(0, 0.8), st.floats(0, 0.8), st.integers(0, 100))
@settings(deadline=None, max_examples=10)
def test_pruning_twice_is_one_plan_for_the_original(first: float, second: float, seed: int) -> None:
    model = resnet(seed=seed)
    once = apply(model, plan(model, EXAMPLE, percent=first))
    twice = apply(once, plan(once, EXAMPLE, percent=second))
    assert once.plan is not None
    assert twice.plan is not None
    for before, after, group in zip(once.plan.groups, twice.plan.groups, model.channel_groups(), strict=True):
        assert after.total == model.get_submodule(group.scales[0]).num_features
        assert set(after.keep) <= set(before.keep)
    assert twice.plan.before == measure(model, EXAMPLE)
    assert twice.plan.after == measure(twice, EXAMPLE)
    assert same(apply(model, twice.plan).state_dict(), twice.state_dict())
    images = torch.randn(2, 1, 8, 8)
    assert verify(model, twice, images).holds
    assert verify(once, twice, images).holds


def test_a_second_plan_counts_the_original_at_its_own_input_size() -> None:
    model = resnet().double()
    once = apply(model, plan(model, EXAMPLE.double(), percent=0.3))
    larger = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    again = plan(once, larger, percent=0.3)
    assert again.before == measure(model, larger)
    assert again.input_shape == (1, 1, 16, 16)


def test_an_edited_plan_of_a_network_in_double_precision_counts_what_it_leaves() -> None:
    model = structures.Residual().double()
    example = torch.zeros(structures.SHAPE, dtype=torch.float64)
    decided = plan(model, example, percent=0.3, criterion="l2_norm")
    small = apply(model, replace(decided, groups=(replace(decided.groups[0], keep=(0, 1)), *decided.groups[1:])))
    assert small.plan is not None
    assert small.plan.after == measure(small, example)


def test_a_plan_written_by_hand() -> None:
    model = resnet()
    decided = edited(plan(model, EXAMPLE, percent=0), keep=[0, 5, 15])
    small = apply(model, decided)
    assert small.cfg == [3, *model.cfg[1:]]
    assert small.layer1[0].select.index.tolist() == [0, 5, 15]
    assert torch.equal(small.layer1[0].conv1.weight, model.layer1[0].conv1.weight[:, [0, 5, 15]])
    assert verify(model, small, torch.randn(2, 1, 8, 8)).holds


def test_the_plan_of_a_small_network_says_what_is_left_of_it_after_an_edit_and_under_another_head() -> None:
    model = resnet()
    small = apply(model, edited(plan(model, EXAMPLE, percent=0.3), keep=[0, 5, 15]))
    assert small.plan is not None
    assert (small.plan.before, small.plan.after) == (measure(model, EXAMPLE), measure(small, EXAMPLE))

    wide, narrow = headed(7), headed(2)
    decided = plan(wide, EXAMPLE, percent=0.4, criterion="l2_norm")
    small = apply(narrow, decided)
    assert (small.plan.before, small.plan.after) == (measure(narrow, EXAMPLE), measure(small, EXAMPLE))
    assert apply(wide, decided).plan == decided


def headed(classes: int) -> nn.Sequential:
    layers = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(8, classes))


def test_a_network_built_narrow_is_pruned_relative_to_its_own_widths() -> None:
    torch.manual_seed(0)
    widths = [7, 16, 5, 40, 32, 9, 128, 64, 64, 30]
    model = create_model("resnet", depth=11, num_classes=3, in_channels=1, cfg=widths).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
    model.select.select(sorted(torch.randperm(256)[:30].tolist()))
    decided = plan(model, EXAMPLE, percent=0.4)
    assert [group.total for group in decided.groups] == widths
    assert decided.arch == model.arch
    assert verify(model, apply(model, decided), torch.randn(2, 1, 8, 8)).holds


def test_precision_frozen_weights_and_batch_counters_survive() -> None:
    model = resnet().double()
    model.layer1.requires_grad_(False)
    model.layer2[0].bn2.num_batches_tracked.fill_(7)
    small = apply(model, plan(model, EXAMPLE.double(), percent=0.5))
    assert {value.dtype for key, value in small.state_dict().items() if "num_batches" not in key} == {torch.float64}
    frozen = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert {name: parameter.requires_grad for name, parameter in small.named_parameters()} == frozen
    assert small.layer2[0].bn2.num_batches_tracked == 7


def test_modules_say_their_new_widths() -> None:
    model = resnet()
    small = apply(model, plan(model, EXAMPLE, percent=0.6))
    for module in small.modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.shape[:2] == (module.out_channels, module.in_channels)
        elif isinstance(module, nn.Linear):
            assert module.weight.shape == (module.out_features, module.in_features)
        elif isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.weight.shape == module.running_mean.shape == (module.num_features,)
