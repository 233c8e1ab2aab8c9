"""Channel groups of networks that declare none: each structure's in closed form, what stays and why."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dependency.cuts import cuts, each, left, norm
from netslim.core.networks.example import Inputs
from netslim.dependency.channel_sets import ChannelSets
from netslim.dependency.find_groups import _alike, find_groups
from netslim.dependency.trace import Place, Trace
from netslim.pruning import apply, masked, plan, verify
from pruning import structures
from pruning.kinds import lively
from pruning.structures import SHAPE


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


Lines = list[list[int]]


def one_by_one(trace: Trace) -> list[dict[Place, list[list[int]]]]:
    """`_alike`, channel by channel."""
    frozen = trace.sets.frozen()
    channels: dict[int, list[tuple[Place, int]]] = defaultdict(list)
    for place, labels in trace.dims.items():
        for position, root in enumerate(trace.sets.roots(labels).tolist()):
            if root not in frozen:
                channels[root].append((place, position))
    groups: dict[tuple[tuple[Place, int], ...], dict[Place, Lines]] = {}
    for entries in channels.values():
        held_by = tuple(Counter(place for place, _ in entries).items())
        group = groups.setdefault(held_by, {place: [] for place, _ in held_by})
        for place in group:
            group[place].append([position for own, position in entries if own == place])
    return list(groups.values())


LABEL = st.integers(0, 15)


@given(
    st.lists(st.lists(LABEL, min_size=1, max_size=8), max_size=6),
    st.sets(LABEL),
    st.lists(st.tuples(LABEL, LABEL), max_size=4),
)
def test_groups_are_those_found_channel_by_channel(
    lines: Lines, frozen: set[int], united: list[tuple[int, int]]
) -> None:
    trace = Trace(sets=ChannelSets())
    trace.sets.fresh(16)
    for first, second in united:
        trace.sets.unite(torch.tensor([first]), torch.tensor([second]))
    trace.sets.freeze(torch.tensor(sorted(frozen), dtype=torch.int64), "stays")
    trace.dims.update({(f"layer{number // 2}", number % 2): torch.tensor(line) for number, line in enumerate(lines)})
    found = [[(place, positions.tolist()) for place, positions in group] for group in _alike(trace)]
    assert found == [list(group.items()) for group in one_by_one(trace)]


class Gated(nn.Module):
    """As MobileViT's attention: of the middle layer nothing can go, since it is split at fixed sizes; what it gives is
    summed over the images' places and expanded to them again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.middle = nn.Conv2d(8, 9, 1)
        self.out = nn.Conv2d(4, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.middle(self.bn(self.conv(x)).relu()).split([1, 4, 4], dim=1)
        context = (key * query.softmax(-1)).sum((2, 3), keepdim=True)
        return self.out(value.relu() * context.expand_as(value))


def test_what_stays_and_is_expanded_leaves_the_rest_free() -> None:
    assert cuts(Gated())["bn"]["middle.weight@1"] == each(8)


class Rolled(nn.Module):
    """Which channel comes first after a roll depends on how many of which there are."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.conv, self.bn, self.fc = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc(self.bn(self.conv(x)).roll(self.shift, 1).mean((2, 3)))
        return found


@pytest.mark.parametrize("shift", range(2, 10))
def test_what_depends_on_which_channels_are_left_stays(shift: int) -> None:
    found = find_groups(Rolled(shift), Inputs.of(torch.zeros(SHAPE)))
    assert found.groups == ()
    assert found.left_alone[0].reason.startswith("has a fixed size at test_find_groups.py:")


class Heads(nn.Module):
    """A classifier for each of two tasks, of which a run uses one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.heads, self.apart = nn.ModuleList([nn.Linear(16, 3), nn.Linear(16, 5)]), nn.Linear(9, 2)

    def forward(self, x: Tensor, task: int = 0) -> Tensor:
        found: Tensor = self.heads[task](self.bn(self.conv(x)).relu().mean((2, 3)))
        return found


def test_a_layer_that_took_part_in_no_run_is_named_where_it_might_read_what_is_cut() -> None:
    model = Heads()
    model.heads.append(nn.Linear(16, 3))  # of a weight that takes part
    model.heads[2].weight = model.heads[0].weight
    found = find_groups(model, Inputs.of(torch.zeros(2, 3, 8, 8)))
    assert [len(group.slices[0].positions) for group in found.groups] == [16]
    assert found.notes == (
        "heads.1 took part in no run on this example, stay as they are, and may not fit what is cut before them: give "
        "an example on which they take part, or leave out (`ignore`) what they read",
    )


MADE = {
    "its weight, or what it reads, can't be followed": lambda weight: weight.flip(0),
    "is read by convolution at .*, whose weight is": lambda weight: weight - weight.mean((1, 2, 3), keepdim=True),
}


@pytest.mark.parametrize("reason", MADE)
def test_a_layer_whose_weight_is_computed_is_listed_as_one_that_stays(reason: str) -> None:
    class Computed(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x, MADE[reason](self.weight), self.bias)

    model = nn.Sequential(Computed(3, 8, 3), nn.BatchNorm2d(8), nn.PReLU(), nn.Conv2d(8, 6, 3), nn.PReLU())
    found = find_groups(model.append(nn.Conv2d(6, 2, 1)), Inputs.of(torch.zeros(2, 3, 8, 8)))
    assert [(own.name, own.channels) for own in found.left_alone] == [("0", 8), ("5", 2)]
    assert re.match(reason, found.left_alone[0].reason)
    assert found.left_alone[1].reason == "is an output of the network"


def test_a_layer_that_reads_what_lies_along_another_dimension_gives_channels_of_its_own() -> None:
    class Bands(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bands, self.conv = nn.Buffer(torch.rand(16, 8)), nn.Conv2d(3, 6, 3)
            self.out = nn.Conv2d(6, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.out(self.conv(x @ self.bands))
            return found

    small = apply(Bands(), plan(Bands(), torch.zeros(2, 3, 16, 16), percent=0.4, criterion="l1_norm"))
    assert small.conv.weight.shape[:2] == (3, 3)
    assert small.out.in_channels == 3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("order", [1, -1])
def test_pieces_whose_sizes_follow_from_the_width_stay_such_parts_of_it(seed: int, order: int) -> None:
    class Quarter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.out = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.bn(self.conv(x)).relu()
            sizes = [x.shape[1] // 4, x.shape[1] - x.shape[1] // 4]
            first, second = torch.split(x, sizes[::order], 1)
            found: Tensor = self.out(torch.cat([second, 2 * first], 1))
            return found

    torch.manual_seed(seed)
    model = Quarter().eval()
    nn.init.uniform_(model.bn.weight)
    small = apply(model, plan(model, torch.zeros(2, 3, 8, 8), percent=0.4))
    assert small.conv.out_channels == 8  # every channel goes with three others


class Widths(nn.Module):
    """What a convolution gives is taken apart by the width of what it reads."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.stem, self.norm = way, nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.qkv, self.out = nn.Conv2d(16, 48, 1, bias=False), nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        (b, c, h, w), y = x.shape, self.qkv(x)
        if self.way == "heads":
            q, k, v = y.reshape(b, 3, 2, c // 2, h * w).unbind(1)
            found = (v @ (q.transpose(2, 3) @ k).softmax(-1).transpose(2, 3)).reshape(b, c, h, w)
        elif self.way == "split":
            q, k, v = y.split(c, 1)
            found = q * k.sigmoid() + v
        else:
            found = y[:, :c] * y[:, c : 2 * c].sigmoid() + y[:, 2 * c :]
        given: Tensor = self.out(found)
        return given


@pytest.mark.parametrize(("way", "rows"), [("heads", 6), ("split", 3), ("slice", 3)])
def test_channels_that_are_taken_apart_by_the_width_of_others_go_with_them(way: str, rows: int) -> None:
    torch.manual_seed(0)
    model, images = lively(Widths(way)), torch.randn(2, 3, 8, 8)
    (group,) = find_groups(model, Inputs.of(images)).groups
    assert (
        next(part for part in group.slices if part.tensor == "qkv.weight" and part.dim == 0).positions.shape[1] == rows
    )
    small = apply(model, plan(model, images, percent=0.4))
    assert verify(model, small, torch.randn(3, 3, 7, 9)).holds
    again = apply(small, plan(small, images, percent=0.4))
    assert verify(model, again, images).holds
    assert again.stem.out_channels < small.stem.out_channels < 16


def test_a_number_made_from_the_width_of_others_keeps_these_alone() -> None:
    class Scaled(Widths):
        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(self.stem(x)).relu()
            q, k, v = (self.qkv(x) * x.shape[1] ** -0.5).chunk(3, 1)
            found: Tensor = self.out(q * k + v)
            return found

    (group,) = find_groups(Scaled("scaled"), Inputs.of(torch.zeros(2, 3, 8, 8))).groups
    assert group.name == "qkv"


class Drawing(nn.Module):
    """Blocks that are left out at random in training, and summands of random weight."""

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.draw, self.stem, self.out = draw, structures.conv_bn(3, 8), nn.Conv2d(8, 2, 1)
        self.blocks = nn.ModuleList([structures.conv_bn(8, 8) for _ in range(6)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            if not self.training or self.draw() < 0.5:
                x = x + block(x) * (self.draw() if self.training else 0.5)
        found: Tensor = self.out(x)
        return found


@pytest.mark.parametrize("draw", [random.random, np.random.rand], ids=["python", "numpy"])
def test_what_is_drawn_in_training_is_the_same_in_every_run(draw: Callable[[], float]) -> None:
    model, images = lively(Drawing(draw)), torch.randn(2, 3, 8, 8)
    small = apply(model, plan(model, images, percent=0.4))
    assert verify(model, small, images).holds
    assert small.stem[0].out_channels < 8


class Domains(nn.Module):
    """One convolution, and a BatchNorm for each domain."""

    def __init__(self, boxed: bool = True) -> None:
        super().__init__()
        norms = {name: nn.BatchNorm2d(8) for name in ("photo", "sketch")}
        self.conv, self.out = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1)
        self.norms = nn.ModuleDict(norms) if boxed else nn.Module()
        for name, own in norms.items():
            self.norms.add_module(name, own)

    def forward(self, x: Tensor, domain: str = "photo") -> Tensor:
        found: Tensor = self.out(F.relu(self.norms.get_submodule(domain)(self.conv(x))))
        return found


def test_norms_for_other_domains_are_cut_alike() -> None:
    model, images = lively(Domains()), torch.randn(2, 3, 6, 6)
    decided = plan(model, images, percent=0.4)
    small = apply(model, decided)
    reference = masked(model, decided)
    for domain in ("photo", "sketch"):
        torch.testing.assert_close(small(images, domain), reference(images, domain))
    assert small.norms["sketch"].num_features == small.conv.out_channels < 8
    assert [group.scales for group in find_groups(model, Inputs.of(images)).groups] == [("norms.photo", "norms.sketch")]


def test_norms_elsewhere_are_not() -> None:
    (group,) = find_groups(Domains(boxed=False), Inputs.of(torch.randn(2, 3, 6, 6))).groups
    assert group.scales == ("norms.photo",)
