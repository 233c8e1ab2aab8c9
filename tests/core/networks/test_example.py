"""Inputs of any arrangement, and the tensors in whatever a network gives."""

from collections import deque
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs, TensorSpec, inputs_from_dict, inputs_to_dict, random_like, tensors_of


class Both(nn.Module):
    """Gives back what it was called with."""

    def forward(self, *args: object, **kwargs: object) -> tuple[object, object]:
        """Arguments, keyword arguments."""
        return args, kwargs


@dataclass
class Output:
    """As libraries of transformers give it."""

    logits: Tensor
    hidden: list[Tensor]


ONE, TWO = torch.zeros(2, 3), torch.ones(2, 4)


def test_how_an_example_becomes_a_call() -> None:
    assert Inputs.of(ONE).call(Both(), copied=False) == ((ONE,), {})
    assert Inputs.of((ONE, TWO)).call(Both(), copied=False) == ((ONE, TWO), {})
    assert Inputs.of({"image": ONE, "scale": 2}).call(Both(), copied=False) == ((), {"image": ONE, "scale": 2})
    assert Inputs.of([ONE, TWO]).call(Both(), copied=False) == (([ONE, TWO],), {})
    with pytest.raises(UsageError, match=r"^the example holds no tensor, but str: give an input of the network$"):
        Inputs.of("image")


def test_one_tensor_of_floats_is_single() -> None:
    assert Inputs.of(ONE).is_single
    assert not Inputs.of(ONE.long()).is_single
    assert not Inputs.of((ONE, TWO)).is_single
    assert not Inputs.of({"x": ONE}).is_single


def test_map_keeps_the_arrangement() -> None:
    mapped = Inputs.of(({"a": [ONE]}, 3)).map(lambda tensor: tensor + 1)
    assert mapped.args[1] == 3
    assert torch.equal(mapped.args[0]["a"][0], ONE + 1)


def test_plain_data_and_back() -> None:
    inputs = Inputs.of((torch.zeros(2, 5), [torch.tensor([3, 0])], {"flag": True}, None))
    again = inputs_from_dict(inputs_to_dict(inputs))
    first, (second,), third, fourth = again.args
    assert first == TensorSpec(torch.Size([2, 5]), torch.float32)
    assert second == TensorSpec(torch.Size([2]), torch.int64, high=4)
    assert (third, fourth) == ({"flag": True}, None)
    with pytest.raises(UsageError, match=r"^the example holds a object, which a plan can't record"):
        inputs_to_dict(Inputs.of((ONE, object())))


def test_random_whole_numbers_lie_below_the_bound() -> None:
    drawn = TensorSpec(torch.Size([1000]), torch.int64, high=3).random(torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {0, 1, 2}


def test_tensors_by_where_they_are() -> None:
    assert list(tensors_of(ONE)) == ["output"]
    assert list(tensors_of({"a": ONE, "b": (TWO, None)})) == ["a", "b.0"]
    assert list(tensors_of(Output(logits=ONE, hidden=[ONE, TWO]))) == ["logits", "hidden.0", "hidden.1"]


class Listed(list[Tensor]):
    """A list with an attribute of its own."""


class Slotted:
    __slots__ = ("__private", "open")

    def __init__(self, private: Tensor, open: Tensor) -> None:
        self.__private, self.open = private, open

    def total(self) -> Tensor:
        return self.__private + self.open


def named(value: object) -> dict[str, Tensor]:
    return tensors_of(value)


def test_attributes_of_containers_and_tensors_are_outputs_too() -> None:
    listed, logits = Listed([ONE]), ONE.clone()
    listed.maps = TWO  # type: ignore[attr-defined]
    logits.maps = TWO  # type: ignore[attr-defined]
    assert [*named(listed)] == ["0", "maps"]
    assert [*named((logits, TWO))] == ["0", "0.maps", "1"]
    assert [*named(deque([ONE, TWO]))] == ["0", "1"]
    assert [*named(Slotted(ONE, TWO))] == ["_Slotted__private", "open"]
    late = Output(ONE, [])
    late.more = TWO  # type: ignore[attr-defined]
    assert [*named(late)] == ["logits", "more"]


def test_what_functions_hold_is_an_output_too() -> None:
    maps = TWO
    assert named(lambda: maps)["maps"] is TWO
    assert named(lambda x=TWO: x)["0"] is TWO
    assert named(partial(torch.mul, TWO, other=ONE)).keys() == {"0", "other"}
    assert named(Slotted(ONE, TWO).total).keys() == {"self._Slotted__private", "self.open"}


def test_a_tensor_that_holds_itself_is_found_once() -> None:
    own = ONE.clone()
    own.own = own  # type: ignore[attr-defined]
    assert [*named(own)] == ["output", "own"]


class InPlace(nn.Module):
    """Normalises what it is given where it lies."""

    def forward(self, x: Tensor, more: list[Tensor]) -> Tensor:
        return x.sub_(0.5).div_(0.25) + more[0].mul_(2)


def test_what_a_network_writes_to_its_inputs_is_not_seen() -> None:
    first, second = torch.ones(2, 3), torch.full((2, 3), 3.0)
    inputs = Inputs.of((first, [second]))
    for _ in range(2):
        assert torch.equal(inputs.call(InPlace()), torch.full((2, 3), 8.0))
    assert torch.equal(first, torch.ones(2, 3))
    assert torch.equal(inputs.call(InPlace(), copied=False), torch.full((2, 3), 8.0))
    assert torch.equal(first, torch.full((2, 3), 2.0))


def test_random_values_like_an_example() -> None:
    given = Inputs.of((torch.zeros(1, 3, dtype=torch.float16), torch.tensor([4])))
    images, numbers = random_like(given, batch=50, dtype=torch.float64).tensors
    assert (images.shape, images.dtype, numbers.shape, numbers.dtype) == ((50, 3), torch.float64, (50,), torch.int64)
    assert set(numbers.tolist()) == {0, 1, 2, 3, 4}
    specs = given.map(TensorSpec.of)
    for one, other in zip(random_like(given).tensors, random_like(specs).tensors, strict=True):
        assert torch.equal(one, other)
        assert one.dtype == other.dtype
