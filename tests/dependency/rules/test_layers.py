"""Convolutions, also in groups, and recurrent layers: what they read and give goes together as it has to."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dependency.cuts import cuts, norm
from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs
from netslim.core.networks.scale_norms import scale_norms
from netslim.cost import measure
from netslim.dependency.find_groups import find_groups
from netslim.pruning import absorb_, apply, masked, plan, verify
from pruning import structures
from pruning.kinds import IMAGES, Net, check_exact, lively, pruned
from pruning.structures import SHAPE


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


class Groups(nn.Module):
    """A convolution in groups between two of all channels."""

    def __init__(self, groups: int, reads: int, gives: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, reads, 1), nn.BatchNorm2d(reads)
        self.grouped, self.norm = nn.Conv2d(reads, gives, 3, groups=groups), nn.BatchNorm2d(gives)
        self.fc = nn.Linear(gives, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn(self.conv(x)))
        return self.fc(F.relu(self.norm(self.grouped(y))).mean((2, 3)))


@pytest.mark.parametrize("percent", [0.25, 0.6, 0.9])
@pytest.mark.parametrize(
    ("groups", "reads", "gives"),
    [(2, 32, 32), (4, 32, 32), (2, 8, 64), (4, 32, 8), (8, 32, 32), (3, 9, 12), (16, 16, 32)],
)
def test_convolutions_in_groups_stay_in_shape(groups: int, reads: int, gives: int, percent: float) -> None:
    """Few large groups lose equally many channels each; many small ones go as a whole, however few are left."""
    small = check_exact(Groups(groups, reads, gives), percent=percent)
    layer = small.grouped
    whole = groups >= min(reads, gives) // groups
    assert layer.in_channels // layer.groups == reads // groups if whole else layer.groups == groups
    assert layer.out_channels % layer.groups == layer.in_channels % layer.groups == 0


def test_a_quarter_of_the_channels_of_two_groups() -> None:
    model = lively(Groups(2, 32, 32))
    assert pruned(model, percent=0.25, per_layer=True).grouped.out_channels == 24


class GroupNormed(nn.Module):
    """A residual stream and its branch, normalised in groups of several widths, and both of them side by side."""

    def __init__(self, stream: int = 8, branch: int = 4, both: int = 6) -> None:
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(stream, 16)
        self.conv, self.norm = nn.Conv2d(16, 16, 3, padding=1), nn.GroupNorm(branch, 16)
        self.side, self.last, self.fc = nn.Conv2d(16, 24, 3), nn.GroupNorm(both, 24), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.stem_norm(self.stem(x)))
        y = F.relu(y + self.norm(self.conv(y)))
        found: Tensor = self.fc(F.relu(self.last(self.side(y))).mean((2, 3)))
        return found


@pytest.mark.parametrize("percent", [0.3, 0.5, 0.7])
@pytest.mark.parametrize(("stream", "branch", "both"), [(8, 4, 6), (4, 8, 24), (16, 16, 2), (2, 4, 12)])
def test_channels_go_in_whole_groups_of_a_groupnorm(stream: int, branch: int, both: int, percent: float) -> None:
    model = GroupNormed(stream, branch, both)
    small = check_exact(model, percent=percent)
    for name, own in small.named_modules():
        if isinstance(own, nn.GroupNorm):
            whole = model.get_submodule(name)
            assert own.num_channels // own.num_groups == whole.num_channels // whole.num_groups
            assert own.num_channels == len(own.weight)
    assert small.stem.out_channels < 16
    if small.side.out_channels > small.last.num_channels // small.last.num_groups:
        check_exact(small, percent=0.4)  # again, of what is left
    assert scale_norms(small).keys() == {"stem_norm", "norm", "last"}  # the last group's, too


def test_channels_that_one_groupnorm_mixes_stay_with_the_reason() -> None:
    decided = plan(GroupNormed(both=1), torch.zeros(SHAPE), percent=0.2)
    reasons = {part.name: part.reason for part in decided.left_alone}
    assert re.search(r"^is mixed with other channels by native_group_norm at test_layers\.py:\d+$", reasons["side"])


class Mixers(nn.Module):
    """A stream under one statistic for all, as PoolFormer's (Yu et al. 2022), beside blocks of their own width."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.out = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)
        self.norms = nn.ModuleList(nn.GroupNorm(1, 8) for _ in range(4))
        self.inner = nn.ModuleList(nn.Conv2d(8, 16, 1, bias=False) for _ in range(2))
        self.outer = nn.ModuleList(nn.Conv2d(16, 8, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        for number in range(2):
            y = y + F.avg_pool2d(self.norms[2 * number](y), 3, 1, 1)
            y = y + self.outer[number](F.relu(self.inner[number](self.norms[2 * number + 1](y))))
        found: Tensor = self.out(y)
        return found


def test_what_lies_between_mixed_streams_goes() -> None:
    small = pruned(Mixers(), criterion="l2_norm")
    assert [layer.out_channels for layer in small.inner] < [16, 16]
    assert small.stem.out_channels == 8


class GroupNumber(nn.Module):
    """Code that says itself how many groups there are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.shift, self.fc = nn.Conv2d(3, 16, 3), nn.Parameter(torch.rand(16)), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc(F.relu(F.group_norm(self.conv(x), 4, self.shift)).mean((2, 3)))
        return found


def test_a_fixed_number_of_normalised_groups_keeps_their_channels() -> None:
    with pytest.raises(UsageError, match="has no channels that can go: conv has a fixed size at test_layers"):
        plan(GroupNumber(), torch.zeros(SHAPE), percent=0.5, criterion="l2_norm")


class Sequence(nn.Module):
    """A convolution, and a recurrent layer that reads what it gives."""

    def __init__(self, kind: type[nn.RNNBase] = nn.GRU, **options: Any) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv1d(6, 16, 3, padding=1), nn.BatchNorm1d(16)
        self.rnn = kind(16, 12, batch_first=True, **options)
        self.fc = nn.Linear((options.get("proj_size") or 12) * (2 if options.get("bidirectional") else 1), 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(F.relu(self.bn(self.conv(x))).transpose(1, 2))[0][:, -1])


RECURRENT: list[dict[str, Any]] = [
    *({}, {"bidirectional": True}, {"num_layers": 2}, {"num_layers": 2, "bidirectional": True}, {"bias": False}),
    *({"proj_size": 5}, {"proj_size": 5, "num_layers": 2, "bidirectional": True}),
]


@pytest.mark.parametrize("options", RECURRENT, ids=str)
@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_recurrent_layers_read_channels(kind: type[nn.RNNBase], options: dict[str, Any]) -> None:
    if "proj_size" in options and kind is not nn.LSTM:
        return
    small = check_exact(Sequence(kind, **options), torch.randn(2, 6, 9))
    assert small.rnn.input_size == small.conv.out_channels < 16
    assert small.rnn.hidden_size == 12


def test_a_long_sequence_takes_no_more_operations_than_a_short_one() -> None:
    counts = [len(find_groups(Sequence(), Inputs.of(torch.zeros(1, 6, size))).trace.events) for size in (5, 500)]
    assert counts[0] == counts[1] < 30


def test_cells_read_channels() -> None:
    class Cell(Sequence):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRUCell(16, 12)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.rnn(F.relu(self.bn(self.conv(x))).mean(2)))

    check_exact(Cell(), torch.randn(2, 6, 9))


@pytest.mark.parametrize("options", [{"affine": True}, {}, {"affine": True, "track_running_stats": True}], ids=str)
def test_instance_norm(options: dict[str, bool]) -> None:
    class Instance(Net):
        def __init__(self) -> None:
            super().__init__(maps=lambda s, y: F.relu(s.norm(s.second(y))))
            self.second, self.norm = nn.Conv2d(16, 8, 1), nn.InstanceNorm2d(8, **options)
            self.out = nn.Conv2d(8, 4, 1)

    small = check_exact(Instance())
    assert small.norm.num_features == small.second.out_channels == small.out.in_channels


class Unscaled(nn.Module):
    """A BatchNorm without scales of its own, which have been moved to where a map or nothing says them."""

    def __init__(self, mapped: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, affine=False), nn.Conv2d(8, 4, 1)
        self.maps = nn.Conv2d(3, 16, 3) if mapped else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        if self.maps is not None:
            scale, shift = self.maps(x).chunk(2, 1)
            y = y * (1 + scale) + shift
        found: Tensor = self.out(F.relu(y))
        return found


@pytest.mark.parametrize("mapped", [True, False])
def test_channels_behind_a_batchnorm_without_scales_are_silent_once_its_means_are_zero(mapped: bool) -> None:
    model = lively(Unscaled(mapped))
    decided = plan(model, IMAGES, percent=0.4, criterion="l2_norm")
    small = apply(model, decided)
    gone = sorted({*range(8)} - {*decided.groups[0].keep})
    assert small.out.in_channels == small.norm.num_features == 8 - len(gone) < 8
    silent = masked(model, decided)
    assert not silent.norm.running_mean[gone].any()
    torch.testing.assert_close(silent(IMAGES), small.eval()(IMAGES))
    assert torch.equal(masked(model, decided, shift=True).norm.running_mean, model.norm.running_mean)
    absorbed = absorb_(small, model, IMAGES)
    assert not absorbed.left


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("shift", [torch.exp, lambda bias: bias + 1])
def test_shifts_that_are_computed_and_never_zero_keep_their_channels(
    shift: Callable[[Tensor], Tensor], statistics: bool
) -> None:
    class Shifted(Net):
        def forward(self, x: Tensor) -> Tensor:
            known = (self.bn.running_mean, self.bn.running_var) if statistics else (None, None)
            y = F.batch_norm(self.conv(x), *known, self.bn.weight, shift(self.bn.bias), training=not statistics)
            found: Tensor = self.out(F.relu(y))
            return found

    with pytest.raises(UsageError, match="conv is not zero where it is read"):
        pruned(lively(Shifted()), criterion="l2_norm")


@pytest.mark.parametrize("learnt", [True, False])
def test_one_filter_for_all_channels(learnt: bool) -> None:
    class Blur(Net):
        def __init__(self) -> None:
            super().__init__(maps=lambda s, y: F.conv2d(y, s.k.expand(y.shape[1], 1, 3, 3), groups=y.shape[1]))
            kernel = torch.rand(1, 1, 3, 3)
            self.k = nn.Parameter(kernel) if learnt else nn.Buffer(kernel)

    small = check_exact(model := Blur())
    assert small.k.shape == (1, 1, 3, 3)
    decided = plan(model, IMAGES, percent=0.4)
    assert (decided.before, decided.after) == (measure(model, IMAGES), measure(small, IMAGES))


GRAPHS = {
    "matmul": lambda s, y: y @ s.joints,
    "matmul from the left": lambda s, y: (s.joints @ y.transpose(2, 3)).transpose(2, 3),
    "einsum": lambda s, y: torch.einsum("nctv,vw->nctw", y, s.joints.softmax(0)),
    "einsum of several": lambda s, y: torch.einsum(
        "nkctv,kvw->nctw", y.view(len(y), 2, -1, *y.shape[2:]), s.several * s.importance
    ),
    "einsum by images": lambda s, y: torch.einsum("nctv,nvw->nctw", y, s.joints.expand(len(y), -1, -1)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graphs_matrices_keep_no_channels(name: str) -> None:
    class Graph(Net):
        def __init__(self) -> None:
            super().__init__(maps=GRAPHS[name])
            self.joints, self.several = nn.Parameter(torch.rand(10, 10)), nn.Buffer(torch.rand(2, 10, 10))
            self.importance = nn.Parameter(torch.rand(2, 10, 10))
            if name == "einsum of several":
                self.out = nn.Conv2d(8, 4, 1)

    small = check_exact(model := Graph())
    decided = plan(model, IMAGES, percent=0.4)
    assert decided.after == measure(small, IMAGES)
    assert small.joints.shape == (10, 10)


def test_a_bilinear_layer_reads_both_its_inputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (nn.Sequential(nn.Conv2d(3, n, 3), nn.BatchNorm2d(n)) for n in (8, 6))
            self.both, self.fc = nn.Bilinear(8, 6, 7), nn.Linear(7, 2)

        def forward(self, x: Tensor) -> Any:
            first, second = (F.relu(layer(x)).mean((2, 3)) for layer in (self.first, self.second))
            return self.fc(self.both(first, second))

    small = check_exact(Two())
    widths = small.first[1].num_features, small.second[1].num_features
    assert small.both.weight.shape == (7, *widths)
    assert sum(widths) < 14
    assert (small.both.in1_features, small.both.in2_features, small.both.out_features) == (*widths, 7)


class Conditional(nn.Module):
    """A BatchNorm's scale is from a table, a row for each class."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_bn, self.conv = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 8, 3)
        self.bn, self.scale, self.shift = nn.BatchNorm2d(8), nn.Embedding(5, 8), nn.Embedding(5, 8)
        self.out = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor, label: Tensor) -> Any:
        y = self.bn(self.conv(F.relu(self.stem_bn(self.stem(x)))))
        return self.out(F.relu(y * self.scale(label)[:, :, None, None] + self.shift(label)[:, :, None, None]))


def test_columns_of_a_table_are_channels() -> None:
    model, example = lively(Conditional()), (IMAGES, torch.tensor([1, 4]))
    small = pruned(model, example)
    assert verify(model, small, example).holds
    assert small.scale.weight.shape == small.shift.weight.shape == (5, small.bn.num_features)
    assert small.scale.embedding_dim == small.bn.num_features < 8


def test_what_a_buffer_counts_does_not_end_with_a_channel() -> None:
    """A partial convolution (Liu et al. 2018) divides by how much of its input there is, in all channels together."""

    class Partial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.out = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 4, 3)
            self.first, self.second = nn.Buffer(torch.ones(16, 3, 3, 3)), nn.Buffer(torch.ones(4, 16, 3, 3))

        def forward(self, x: Tensor) -> Any:
            there = F.conv2d(torch.ones_like(x), self.first).clamp(0, 1)
            y = F.relu(self.bn(self.conv(x))) * there
            return self.out(y) / F.conv2d(there, self.second)

    with pytest.raises(UsageError, match="has no channels that can go: "):
        pruned(lively(Partial()))
