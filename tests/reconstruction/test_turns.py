"""How two networks come to the turn of each layer."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs, tensors_of
from netslim.reconstruction.lockstep import Lane
from netslim.reconstruction.turns import AtOnce, InParts, Outputs, are_apart, in_pieces, until
from netslim.reconstruction.watch import Seen, Use

SMALL = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
LARGE = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1))
STOPS = {SMALL: ("0", "2"), LARGE: ("0", "1", "2")}  # what the layers are called in the large network
INPUTS = [Inputs.of(torch.full((rows, 2), float(rows))) for rows in (3, 1)]


def start(network: nn.Module, inputs: Inputs, given: dict[int, Outputs]) -> Lane[Seen]:
    """A run that stops before each layer."""

    def work(stop: Callable[[Seen], object]) -> None:
        x = inputs.tensors[0]
        for layer, name in zip(network.children(), STOPS[network], strict=True):  # type: ignore[index]
            stop(Seen(Use(name, 0), x.detach()))
            x = layer(x)
        given[id(lane)] = tensors_of(x)

    lane: Lane[Seen] = Lane(work)
    return lane


def gone_through(turns: Any) -> tuple[list[list[tuple[str, torch.Size, torch.Size]]], Any]:
    """Of each turn and batch the layer and what both are at, and the outputs."""
    seen = []
    for number in range(2):
        pairs = [pair for pair in turns.turn(number) if pair is not None]
        assert all(here.use == there.use for here, there in pairs)
        seen.append([(here.use.layer, here.value.shape, there.value.shape) for here, there in pairs])
    assert [*turns.turn(2)] == [None, None]
    return seen, turns.outputs()


def test_side_by_side_and_in_parts_are_the_same_turns() -> None:
    with ExitStack() as stack:
        at_once, outputs = gone_through(AtOnce(SMALL, LARGE, INPUTS, start, stack))
        in_parts, again = gone_through(InParts(SMALL, LARGE, INPUTS, start))
    assert at_once == in_parts
    assert at_once == [[("0", (3, 2), (3, 2)), ("0", (1, 2), (1, 2))], [("2", (3, 2), (3, 3)), ("2", (1, 2), (1, 3))]]
    for network, once, parts in zip((LARGE, SMALL), outputs, again, strict=True):
        for inputs, one, other in zip(INPUTS, once, parts, strict=True):
            (first,), (second,) = one.values(), other.values()
            assert torch.equal(first, network(inputs.tensors[0]))
            assert torch.equal(first, second)


def test_runs_that_meet_in_the_network_are_told_from_those_that_do_not() -> None:
    class Noting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.noted = nn.Linear(2, 2), torch.zeros(())

    def noting(network: nn.Module, inputs: Inputs, given: dict[int, Outputs]) -> Lane[Seen]:
        def work(stop: Callable[[Seen], object]) -> None:
            layer, before = network.layer, network.layer.weight  # type: ignore[union-attr]
            layer._parameters["weight"] = before * 2  # type: ignore[union-attr,operator]
            network.noted = inputs.tensors[0]
            stop(Seen(Use("layer", 0), network.noted))
            layer._parameters["weight"] = before  # type: ignore[union-attr]
            given[id(lane)] = tensors_of(network.noted)

        lane: Lane[Seen] = Lane(work)
        return lane

    alone = [tensors_of(SMALL(each.tensors[0])) for each in INPUTS]
    assert are_apart(SMALL, INPUTS, alone, start)
    assert not are_apart(SMALL, INPUTS, alone[::-1], start)
    network = Noting()
    weight = network.layer.weight
    assert not are_apart(network, INPUTS, [tensors_of(each.tensors[0]) for each in INPUTS], noting)
    assert network.layer.weight is weight


def test_a_layer_that_the_large_network_has_not_is_said() -> None:
    lane = start(LARGE, INPUTS[0], {})
    assert until(lane, Use("1", 0)).use == Use("1", 0)
    with pytest.raises(UsageError, match="'0' works in the small network and not in the large one: they are not of"):
        until(lane, Use("0", 0))


def test_a_batch_is_cut_along_its_images() -> None:
    batch = Inputs.of((torch.arange(5), torch.arange(10).reshape(5, 2)))
    pieces = in_pieces(batch, 2)
    assert [piece.tensors[0].tolist() for piece in pieces] == [[0, 1], [2, 3], [4]]
    assert [piece.tensors[1].shape for piece in pieces] == [(2, 2), (2, 2), (1, 2)]
    assert in_pieces(batch, 5) == [batch]
    shared = Inputs.of((torch.arange(5), torch.zeros(3)))  # no row per image
    assert in_pieces(shared, 2) == [shared]
