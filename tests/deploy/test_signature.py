"""Names and order of nested inputs and outputs."""

from collections import OrderedDict, namedtuple

import pytest
import torch

from netslim.core.errors import UsageError
from netslim.deploy.signature import ExportInputs, FlatNetwork, named_tensors

A, B, C = torch.zeros(2, 3), torch.ones(2), torch.full((2, 1), 2.0)
Pair = namedtuple("Pair", "first second")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (A, ["output"]),
        ({"logits": A, "list": [B, (C,)]}, ["logits", "list_0", "list_1_0"]),
        ((A, [B]), ["output_0", "output_1_0"]),
        (OrderedDict(b=A, a=None, c=3), ["b"]),
        ({"a": {"b": A}, "a_b": B}, ["a_b", "a_b_1"]),
        ({"aux.head": A, 3: B}, ["aux_head", "output_3"]),
        (Pair(A, {"x": B}), ["first", "second_x"]),
    ],
)
def test_names_are_paths(value: object, names: list[str]) -> None:
    assert [*named_tensors(value, "output")] == names


def test_inputs() -> None:
    assert ExportInputs.of(A).names == ["input"]
    assert ExportInputs.of((A, [B])).names == ["input_0", "input_1_0"]
    assert ExportInputs.of({"ids": A, "mask": None}).names == ["ids"]
    with pytest.raises(UsageError, match="`example` is a list: give a tensor, a tuple of inputs or a dict"):
        ExportInputs.of([A])
    with pytest.raises(UsageError, match="the example holds no tensor"):
        ExportInputs.of({"n": 3})


def test_noise_keeps_whole_numbers_in_their_range() -> None:
    ids = torch.tensor([[5, 6], [7, 8], [9, 9]])
    found = ExportInputs.of((ids, torch.zeros(3, 4), torch.tensor(1.5), 2)).noise(7, torch.Generator())
    assert found.args[0].tolist() == [*ids.tolist(), *ids.tolist(), [5, 6]]
    assert found.args[1].shape == (7, 4)
    assert found.args[1][0].tolist() == [0.5] * 4
    assert found.args[2:] == (torch.tensor(1.5), 2)


def test_one_input_becomes_two() -> None:
    assert [leaf.shape for leaf in ExportInputs.of((A[:1], torch.zeros(3))).several().tensors] == [(2, 3), (3,)]


def test_a_flat_network() -> None:
    class Nested(torch.nn.Module):
        def forward(self, a: torch.Tensor, *, more: dict[str, object]) -> dict[str, object]:
            return {"sum": a + more["b"], "rest": [more["n"], a]}

    inputs = ExportInputs((A,), {"more": {"b": C, "n": 3}})
    found = FlatNetwork(Nested(), inputs)(*inputs.tensors)
    assert [leaf.shape for leaf in found] == [(2, 3), (2, 3)]
    assert torch.equal(found[0], A + C)
