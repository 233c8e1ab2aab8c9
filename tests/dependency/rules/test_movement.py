"""Labels move as values do: concatenations, shuffles, padding, what is written into new tensors."""

import pytest
import torch
import torch.nn.functional as F

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
