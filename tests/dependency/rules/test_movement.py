"""Labels move as values do: concatenations, shuffles, padding, what is written into new tensors."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from dependency.cuts import cuts, each, left, norm
from netslim.core.errors import UsageError
from pruning import structures
from pruning.kinds import Net, check_exact, lively, pruned


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


class Parted(nn.Module):
    """Two maps of unlike widths are joined, and taken apart again at these."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.left, self.right = way, structures.conv_bn(3, 16), structures.conv_bn(3, 12)
        self.outs = nn.ModuleList([nn.Conv2d(16, 4, 1), nn.Conv2d(12, 4, 1)])

    def forward(self, x: Tensor) -> Tensor:
        parts = self.left(x), self.right(x)
        joined, widths = torch.cat(parts, 1), [part.shape[1] for part in parts]
        if self.way == "split":
            parts = joined.split(widths, 1)
        else:
            parts = joined[:, : widths[0]], joined[:, widths[0] :]
        return sum(out(part.relu()) for out, part in zip(self.outs, parts, strict=True))


@pytest.mark.parametrize("way", ["split", "slice"])
def test_parts_that_happen_to_be_as_wide_as_each_other_once_they_are_cut_are_no_pieces(way: str) -> None:
    model = lively(Parted(way))
    for name in ("left.1.weight", "right.1.weight"):
        model.get_parameter(name).data[:8] = 2
    small = netslim.apply(model, netslim.plan(model, torch.randn(2, 3, 8, 8), percent=0.42))
    assert [small.get_parameter(f"{name}.0.weight").shape[0] for name in ("left", "right")] == [8, 8]
    assert netslim.verify(model, small, torch.randn(2, 3, 8, 8)).holds


def test_a_channel_shuffle_keeps_halves_together() -> None:
    pairs = [[channel, channel + 4] for channel in range(4)]
    assert cuts(structures.Shuffled()) == {
        "stem.1": {
            **{"stem.0.weight@0": pairs, **norm("stem.1", pairs), "branch.0.weight@1": each(4)},
            **{"branch.0.weight@0": each(4), **norm("branch.1", each(4))},
            "last.weight@1": [[2 * channel, 2 * channel + 1] for channel in range(4)],
        }
    }


def test_zeros_beside_channels_keep_what_they_meet() -> None:
    assert cuts(structures.Padded()) == {
        "stem.1": {
            **{"stem.0.weight@0": each(2), **norm("stem.1", each(2)), "body.0.weight@1": each(2)},
            **{"body.0.weight@0": each(2, 1), **norm("body.1", each(2, 1)), "last.weight@1": each(2, 1)},
        }
    }
    assert left(structures.Padded())["body.0"][0] == 2
    assert left(structures.Padded())["body.0"][1].startswith("is constant: padding at structures.py:")


MOVED = {
    "flip": lambda s, y: y.flip(1),
    "unfold and fold": lambda s, y: F.fold(F.unfold(y, 3, padding=1), y.shape[2:], 3, padding=1),
    "patches": lambda s, y: F.unfold(y, 2, stride=2).unflatten(1, (-1, 4)).amax(2).unflatten(2, (5, 5)),
    "pixel_shuffle": lambda s, y: F.pixel_unshuffle(F.pixel_shuffle(y, 2), 2),
    "shuffle": lambda s, y: y.unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2),
    "halves": lambda s, y: torch.cat([y[:, : y.shape[1] // 2], y[:, y.shape[1] // 2 :]], 1),
    "gathered": lambda s, y: torch.gather(y, 2, torch.full((1, 1, 1, 1), 3).expand(2, y.shape[1], 1, 10)),
    "padded and cut off": lambda s, y: F.pad(y, (0, 0, 0, 0, 0, 2))[:, :-2],
}


@pytest.mark.parametrize("name", MOVED)
def test_labels_move_as_values_do(name: str) -> None:
    check_exact(Net(maps=MOVED[name]))


@pytest.mark.parametrize("turns", [2, 4])
def test_channels_of_which_one_in_so_many_is_picked_go_together(turns: int) -> None:
    def picked(net: Net, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([y[:, ::turns] + number * y[:, number::turns] for number in range(turns)], 1)

    small = check_exact(Net(maps=picked), percent=0.4)
    assert small.conv.out_channels % turns == 0


@pytest.mark.parametrize("place", [slice(None, None, 3), slice(None, 8, 2)], ids=str)
def test_of_others_nothing_goes(place: slice) -> None:
    def picked(net: Net, y: torch.Tensor) -> torch.Tensor:
        return y * y[:, place].mean(1, keepdim=True)

    with pytest.raises(UsageError, match="conv is picked by its number"):
        pruned(lively(Net(maps=picked)))


class Widened(nn.Module):
    """A shortcut to more channels, which are zero."""

    def __init__(self, zeros: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.stem, self.body, self.out = structures.conv_bn(3, 8), structures.conv_bn(8, 12), nn.Conv2d(12, 4, 1)
        self.zeros = zeros

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        y = self.body(x)
        found: Tensor = self.out(torch.relu(y + torch.cat([x, self.zeros(x, y)], 1)))
        return found


ZEROS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "of its type": lambda x, y: x.new_zeros(len(x), y.shape[1] - x.shape[1], *x.shape[2:]),
    "on a device": lambda x, y: torch.zeros(len(x), y.shape[1] - x.shape[1], *x.shape[2:], device=x.device),
    "brought to it": lambda x, y: torch.zeros(len(x), y.shape[1] - x.shape[1], *x.shape[2:]).to(x),
}


@pytest.mark.parametrize("name", ZEROS)
def test_zeros_that_are_joined_go_with_the_channels_that_they_meet(name: str) -> None:
    small = check_exact(Widened(ZEROS[name]), percent=0.5)
    assert small.stem[0].out_channels < 8
    assert small.body[0].out_channels < 12
    small.train()(torch.randn(2, 3, 12, 12)).sum().backward()


CONSTANTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "so many zeros": lambda x, _: x.new_zeros(len(x), 4, *x.shape[2:]),
    "ones": lambda x, y: x.new_ones(len(x), y.shape[1] - x.shape[1], *x.shape[2:]),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_other_constants_that_are_joined_stay_alone(name: str) -> None:
    model = lively(Widened(CONSTANTS[name]))
    plan = netslim.plan(model, torch.randn(2, 3, 12, 12), percent=0.4)
    assert {(own.name, own.channels) for own in plan.left_alone} == {("body.0", 4), ("out", 4)}
    assert netslim.verify(model, netslim.apply(model, plan), torch.randn(2, 3, 12, 12)).holds
