"""Channel groups of networks that declare none: each structure's in closed form, what stays and why, and the proof."""

from collections.abc import Callable

import pytest
import structures
import torch
from networks import randomised
from structures import SHAPE
from torch import Tensor, nn

import netslim
from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs
from netslim.core.protocols import plan_of
from netslim.dependency.find_groups import find_groups
from netslim.models import create_model
from netslim.pruning import apply, masked, plan, verify

Cuts = dict[str, dict[str, list[list[int]]]]
NORM = ("weight", "bias", "running_mean", "running_var")


def cuts(model: nn.Module) -> Cuts:
    """Per group, per `tensor@dimension`, the entries of each channel."""
    return {
        group.name: {f"{part.tensor}@{part.dim}": part.positions.tolist() for part in group.slices}
        for group in find_groups(model, Inputs.of(torch.zeros(SHAPE))).groups
    }


def left(model: nn.Module, **options: str) -> dict[str, tuple[int, str]]:
    decided = plan(model, torch.zeros(SHAPE), percent=0.5, **options)
    return {part.name: (part.channels, part.reason) for part in decided.left_alone}


def each(count: int, first: int = 0, step: int = 1) -> list[list[int]]:
    """One entry for each channel."""
    return [[first + channel * step] for channel in range(count)]


def norm(name: str, entries: list[list[int]]) -> dict[str, list[list[int]]]:
    return {f"{name}.{tensor}@0": entries for tensor in NORM}


def test_a_residual_stream_goes_together() -> None:
    outer, inner = each(4), each(6)
    assert cuts(structures.Residual()) == {
        "bn0": {
            **{"stem.weight@0": outer, "stem.bias@0": outer, **norm("bn0", outer)},
            **{"inner.0.weight@1": outer, "outer.0.weight@0": outer, **norm("outer.1", outer), "fc.weight@1": outer},
        },
        "inner.1": {"inner.0.weight@0": inner, **norm("inner.1", inner), "outer.0.weight@1": inner},
    }
    groups = find_groups(structures.Residual(), Inputs.of(torch.zeros(SHAPE))).groups
    assert [group.scales for group in groups] == [("bn0", "outer.1"), ("inner.1",)]


def test_a_concatenation_gives_every_part_its_place() -> None:
    assert cuts(structures.Concatenated()) == {
        "left": {
            **{"left.weight@0": each(2), "left.bias@0": each(2), **norm("bn", each(2)), "conv.weight@1": each(2)},
        },
        "right": {
            **{"right.weight@0": each(3), "right.bias@0": each(3)},
            **{**norm("bn", each(3, 2)), "conv.weight@1": each(3, 2)},
        },
    }


def test_grouped_convolutions_lose_whole_groups() -> None:
    threes, twos = [[0, 1, 2], [3, 4, 5]], [[0, 1], [2, 3]]
    model = structures.Grouped()
    assert cuts(model) == {
        "first.1": {
            **{"first.0.weight@0": threes, **norm("first.1", threes)},
            **{"depthwise.0.weight@0": threes, **norm("depthwise.1", threes)},
            **{"grouped.0.weight@0": twos, **norm("grouped.1", twos), "last.weight@1": twos},
        }
    }
    small = apply(model, plan(model, torch.zeros(SHAPE), percent=0.1))
    assert (small.depthwise[0].groups, small.depthwise[0].in_channels, small.depthwise[0].out_channels) == (3, 3, 3)
    assert (small.grouped[0].groups, small.grouped[0].in_channels, small.grouped[0].out_channels) == (1, 3, 2)


def test_squeeze_excitation_follows_and_its_inside_stays() -> None:
    six = each(6)
    found = cuts(structures.Squeezed())
    assert found == {
        "body.1": {
            **{"body.0.weight@0": six, **norm("body.1", six), "squeeze.weight@1": six},
            **{"excite.weight@0": six, "excite.bias@0": six, "last.weight@1": six},
        },
        "squeeze": {"squeeze.weight@0": each(2), "squeeze.bias@0": each(2), "excite.weight@1": each(2)},
    }
    assert left(structures.Squeezed()) == {
        "last": (2, "is an output of the network"),
        "squeeze": (2, "has no BatchNorm that scores it"),
    }


def test_a_channel_shuffle_keeps_halves_together() -> None:
    pairs = [[channel, channel + 4] for channel in range(4)]
    assert cuts(structures.Shuffled()) == {
        "stem.1": {
            **{"stem.0.weight@0": pairs, **norm("stem.1", pairs), "branch.0.weight@1": each(4)},
            **{"branch.0.weight@0": each(4), **norm("branch.1", each(4))},
            "last.weight@1": [[2 * channel, 2 * channel + 1] for channel in range(4)],
        }
    }


def test_a_flatten_gives_every_channel_its_run_of_inputs() -> None:
    runs = [list(range(4 * channel, 4 * channel + 4)) for channel in range(4)]
    assert cuts(structures.Flattened()) == {
        "body.1": {"body.0.weight@0": each(4), **norm("body.1", each(4)), "hidden.weight@1": runs},
        "bn": {"hidden.weight@0": each(5), "hidden.bias@0": each(5), **norm("bn", each(5)), "fc.weight@1": each(5)},
    }


def test_all_heads_are_outputs() -> None:
    four = each(4)
    assert cuts(structures.TwoHeads()) == {
        "body.1": {
            "body.0.weight@0": four,
            **{**norm("body.1", four), "classes.weight@1": four, "boxes.weight@1": four},
        }
    }


def test_a_shared_convolution_ties_what_it_reads_to_what_it_gives() -> None:
    four = each(4)
    found = cuts(structures.Shared())
    assert list(found) == ["stem.1"]
    assert found["stem.1"]["conv.weight@0"] == found["stem.1"]["conv.weight@1"] == four
    assert find_groups(structures.Shared(), Inputs.of(torch.zeros(SHAPE))).groups[0].scales == (
        "stem.1",
        "once",
        "again",
    )


def test_a_gate_and_what_it_opens_go_together() -> None:
    pairs = [[channel, channel + 4] for channel in range(4)]
    assert cuts(structures.Gated()) == {
        "body.1": {"body.0.weight@0": pairs, **norm("body.1", pairs), "last.weight@1": each(4)}
    }


def test_parameters_that_are_used_as_they_are_follow() -> None:
    found = cuts(structures.Scaled())["body.1"]
    assert found["gamma@0"] == found["picture@1"] == each(4)


def test_zeros_beside_channels_keep_what_they_meet() -> None:
    assert cuts(structures.Padded()) == {
        "stem.1": {
            **{"stem.0.weight@0": each(2), **norm("stem.1", each(2)), "body.0.weight@1": each(2)},
            **{"body.0.weight@0": each(2, 1), **norm("body.1", each(2, 1)), "last.weight@1": each(2, 1)},
        }
    }
    assert left(structures.Padded())["body.0"][0] == 2
    assert left(structures.Padded())["body.0"][1].startswith("is constant: padding at structures.py:")


def test_a_head_that_works_in_training_only_is_cut_too() -> None:
    model = structures.Auxiliary()
    assert cuts(model)["body.1"]["aux.weight@1"] == each(4)
    small = apply(model, plan(model, torch.zeros(SHAPE), percent=0.5))
    assert [len(head) for head in small.train()(torch.zeros(2, 3, 8, 8))] == [2, 2]


@pytest.mark.parametrize(
    ("network", "layer", "reason"),
    [
        (structures.Attention, "body.0", "is mixed with other channels by _softmax at structures.py:"),
        (structures.FixedSplit, "body.0", "has a fixed size at structures.py:"),
        (structures.Bright, "body.0", "is not zero where it is read (structures.py:"),
    ],
)
def test_what_cannot_be_proven_stays_and_says_why(network: Callable[[], nn.Module], layer: str, reason: str) -> None:
    model = network()
    assert list(cuts(model)) == ["free.1"]
    channels, found = left(model)[layer]
    assert channels == model.get_submodule(layer).weight.shape[0]
    assert found.startswith(reason)


STRUCTURES = [
    *("Residual", "Concatenated", "Grouped", "Squeezed", "Shuffled", "Flattened", "TwoHeads", "Shared", "Gated"),
    *("Scaled", "Attention", "FixedSplit", "Bright", "Padded", "Auxiliary"),
]


@pytest.mark.parametrize("percent", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("name", STRUCTURES)
def test_masked_and_rebuilt_agree(name: str, percent: float) -> None:
    torch.manual_seed(0)
    model = randomised(getattr(structures, name)())
    decided = plan(model, torch.zeros(SHAPE), percent=percent)
    small = apply(model, decided)
    assert verify(model, small, torch.randn(2, 3, 8, 8)).holds
    assert decided.traced
    assert decided.kept < decided.total
    assert decided.after.params < decided.before.params
    assert netslim.measure(model, torch.zeros(SHAPE)) == decided.before
    assert netslim.measure(small, torch.zeros(SHAPE)) == decided.after
    outputs = small.train()(torch.randn(4, 3, 8, 8))
    sum(leaf.square().sum() for leaf in torch.utils._pytree.tree_leaves(outputs)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in small.parameters())


def test_masking_silences_everything_that_gives_a_channel() -> None:
    model = randomised(structures.Residual())
    decided = plan(model, torch.zeros(SHAPE), percent=0.5)
    silent = masked(model, decided)
    gone = sorted({0, 1, 2, 3} - set(decided.groups[0].keep))
    for name in ("stem", "bn0", "outer.0", "outer.1"):
        assert not silent.get_submodule(name).weight[gone].any()
    assert torch.equal(silent.fc.weight, model.fc.weight)
    assert torch.equal(silent.bn0.running_var, model.bn0.running_var)


def test_the_network_is_never_run_nor_changed() -> None:
    class Counting(structures.Residual):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            assert x.device.type == "meta"
            return super().forward(x)

    model = Counting().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    plan(model, torch.zeros(SHAPE), percent=0.5)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_pruned_twice_is_one_plan_for_the_original() -> None:
    torch.manual_seed(1)
    model = randomised(structures.Squeezed())
    once = apply(model, plan(model, torch.zeros(SHAPE), percent=0.3))
    twice = apply(once, plan(once, torch.zeros(SHAPE), percent=0.6))
    assert [group.total for group in twice.plan.groups] == [6]
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(apply(model, twice.plan)(images), twice(images))
    assert verify(model, twice, images).holds
    last = apply(model, plan(model, torch.zeros(SHAPE), percent=0.99))
    assert plan(last, torch.zeros(SHAPE), percent=0.5).kept == 1


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


def refusal(model: nn.Module, shape: tuple[int, ...] = SHAPE, **options: str) -> str:
    with pytest.raises(UsageError) as caught:
        plan(model, torch.zeros(shape), percent=0.5, **options)
    return str(caught.value)


def test_networks_that_cannot_be_pruned() -> None:
    reason = "has no BatchNorm, whose scales criterion 'bn_scale' reads; criteria that work without: "
    reason += "geometric_median, l1_norm, l2_norm, random"
    assert refusal(structures.Unnormalised()) == f"Unnormalised {reason}"
    assert refusal(nn.Linear(2, 2), (1, 2)) == f"Linear {reason}"
    assert refusal(nn.Linear(2, 2), (1, 2), criterion="l1_norm") == (
        "Linear has no channels that can go: weight is an output of the network"
    )
    model = structures.Unnormalised()
    small = apply(model, plan(model, torch.zeros(SHAPE), percent=0.5, criterion="l1_norm"))
    assert small.body.out_channels == 2
    assert verify(model, small, torch.randn(2, 3, 8, 8)).holds


def test_inputs_that_do_not_fit() -> None:
    assert refusal(structures.Residual(), (1, 4, 8, 8)) == (
        "Residual does not run on an input of 4 x 8 x 8: RuntimeError: Given groups=1, weight of size [4, 3, 3, 3], "
        "expected input[2, 4, 8, 8] to have 3 channels, but got 4 channels instead"
    )


def test_a_decision_on_values_names_its_line() -> None:
    text = refusal(structures.Deciding())
    line = structures.Deciding.forward.__code__.co_firstlineno + 2
    assert text == (
        f"structures.py:{line}: what Deciding does depends on the values that it computes (_local_scalar_dense), so "
        "its channel groups can't be derived; a forward that depends on shapes alone can be"
    )


def test_a_network_with_a_plan_of_its_own() -> None:
    model = structures.Residual()
    model.plan = "mine"  # type: ignore[assignment]
    decided = plan(model, torch.zeros(SHAPE), percent=0.5)
    small = apply(model, decided)
    assert small.plan == "mine"
    assert plan_of(small) == decided
    assert verify(model, small, torch.randn(SHAPE)).holds
