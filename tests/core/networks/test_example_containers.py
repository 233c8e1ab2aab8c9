"""Inputs in any arrangement, outputs in any container."""

import collections
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs, TensorSpec, inputs_from_dict, inputs_to_dict, tensors_of
from netslim.pruning import plan_from_dict

A, B = torch.zeros(2, 3), torch.arange(6)


@dataclasses.dataclass
class Data:
    logits: Tensor
    maps: Any


class Plain:
    def __init__(self, first: Tensor, second: Any) -> None:
        self.first, self.second = first, {"deep": [second]}


class Slotted:
    __slots__ = ("first", "second")

    def __init__(self, first: Tensor, second: Any) -> None:
        self.first, self.second = first, second


Named = collections.namedtuple("Named", "first second")

CONTAINERS: dict[str, tuple[Callable[[Tensor, Tensor], Any], list[str]]] = {
    "a tensor": (lambda a, b: a, ["output"]),
    "a tuple": (lambda a, b: (a, (b,)), ["0", "1.0"]),
    "a list": (lambda a, b: [a, None, 3, b], ["0", "3"]),
    "a dictionary": (lambda a, b: {"x": a, 1: {"y": b}}, ["x", "1.y"]),
    "a data class": (Data, ["logits", "maps"]),
    "an object": (Plain, ["first", "second.deep.0"]),
    "slots": (Slotted, ["first", "second"]),
    "a named tuple": (Named, ["first", "second"]),
    "a deque": (lambda a, b: collections.deque([a, b]), ["0", "1"]),
    "views of a dictionary": (lambda a, b: {"x": a, "y": b}.values(), ["0", "1"]),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_tensors_are_found_in_containers(name: str) -> None:
    pack, names = CONTAINERS[name]
    found = tensors_of(pack(A, B))
    assert list(found) == names
    assert all(tensor is own for tensor, own in zip(found.values(), (A, B), strict=False))


def test_what_refers_to_itself_is_walked_once() -> None:
    loop: list[Any] = [A]
    loop.append(loop)
    assert list(tensors_of(loop)) == ["0"]


class Fresh(Mapping[str, Any]):
    """A mapping that makes its values when it is asked."""

    def __getitem__(self, key: str) -> list[list[Tensor]]:
        return [[torch.full((2,), float(key))]]

    def __iter__(self) -> Iterator[str]:
        return iter("123456789")

    def __len__(self) -> int:
        return 9


def test_containers_made_on_the_way_are_all_walked() -> None:
    assert [float(tensor.mean()) for tensor in tensors_of([Fresh(), Fresh()]).values()] == [*range(1, 10)] * 2


class Pair(nn.Module):
    """Maps and logits, packed as a test says."""

    def __init__(self, pack: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.conv, self.bn, self.fc, self.pack = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.Linear(8, 2), pack
        nn.init.normal_(self.bn.weight)

    def forward(self, x: Tensor) -> Any:
        maps = torch.relu(self.bn(self.conv(x)))
        return self.pack(self.fc(maps.mean((2, 3))), maps)


def generated(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    yield a
    yield b * 1


@pytest.mark.parametrize("name", [*[name for name in CONTAINERS if name != "a tensor"], "a generator"])
def test_maps_in_any_container_are_outputs(name: str) -> None:
    pack = generated if name == "a generator" else CONTAINERS[name][0]
    with pytest.raises(UsageError, match="conv is an output of the network"):
        netslim.plan(Pair(pack), torch.zeros(1, 3, 4, 4), percent=0.5)


def test_one_argument_several_and_those_by_name() -> None:
    assert Inputs.of(A).args == (A,)
    assert Inputs.of((A, 2)).args == (A, 2)
    assert Inputs.of([A, B]).args == ([A, B],)
    assert Inputs.of({"x": A, "scale": 2.0}).kwargs == {"x": A, "scale": 2.0}
    assert [Inputs.of(given).is_single for given in (A, (A,), (A, B), [A], B, {"x": A})] == [True, True, *[False] * 4]
    assert Inputs.of((A, B)).batch == 2
    for wrong in ("x", (), {}, None, [1, 2]):
        with pytest.raises(UsageError, match="the example holds no tensor, but "):
            Inputs.of(wrong)


def test_inputs_as_plain_data_and_back() -> None:
    inputs = Inputs.of(({"x": [A, B]}, 2, None, "mode", True)).map(TensorSpec.of)
    again = inputs_from_dict(json.loads(json.dumps(inputs_to_dict(inputs))))
    assert (again.args, again.kwargs) == (inputs.args, inputs.kwargs)
    assert [spec.high for spec in again.tensors] == [2, 6]


def test_random_whole_numbers_stay_below_those_that_were_seen() -> None:
    drawn = TensorSpec.of(torch.tensor([3, 49])).random(torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.int64
    assert 0 <= int(drawn.min()) <= int(drawn.max()) < 50


class Taking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.conv, self.bn = nn.Embedding(50, 6), nn.Conv1d(6, 16, 3), nn.BatchNorm1d(16)
        self.fc = nn.Linear(16, 2)
        nn.init.normal_(self.bn.weight)

    def forward(self, x: Tensor, mask: Tensor | None = None, *, scale: float = 1.0) -> Tensor:
        y = torch.relu(self.bn(self.conv(self.words(x).transpose(1, 2)))) * scale
        y = y if mask is None else y * mask[:, None, 2:]
        found: Tensor = self.fc(y.amax(2))
        return found


WORDS = torch.randint(0, 50, (4, 9), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "example",
    [WORDS, WORDS.int(), (WORDS, torch.ones(4, 9)), (WORDS, torch.ones(4, 9).bool()), {"x": WORDS, "scale": 2.0}],
    ids=["words", "short", "two", "bool", "by name"],
)
def test_networks_are_pruned_on_any_inputs(example: Any) -> None:
    model = Taking().eval()
    decided = netslim.plan(model, example, percent=0.3)
    small = netslim.apply(model, plan_from_dict(json.loads(json.dumps(decided.to_dict()))))
    assert small.conv.out_channels == 11
    assert netslim.verify(model, small, example).holds


class Clips(nn.Module):
    """Eight images are a clip."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Linear(16, 2)
        nn.init.normal_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn(self.conv(x))).unflatten(0, (-1, 8))
        found: Tensor = self.fc(y.mean((1, 3, 4)))
        return found


@pytest.mark.parametrize("clips", [1, 3])
def test_a_batch_whose_size_matters_is_kept(clips: int) -> None:
    model, images = Clips().eval(), torch.randn(8 * clips, 3, 6, 6)
    decided = netslim.plan(model, images, percent=0.3)
    small = netslim.apply(model, plan_from_dict(decided.to_dict()))
    assert small.conv.out_channels == 11
    assert netslim.verify(model, small, images).holds
