"""Where an operation gives zero although some of what it is given is not zero."""

from typing import Any

import pytest
import torch
from torch import Tensor

from netslim.dependency.rules.zero_propagation import silence
from netslim.dependency.trace import Call

ATEN = torch.ops.aten
LEFT, RIGHT = torch.tensor([False, True, False, True]), torch.tensor([False, False, True, True])


@pytest.mark.parametrize(
    ("func", "zero"),
    [
        (ATEN.mul.Tensor, [False, True, True, True]),
        (ATEN.add.Tensor, [False, False, False, True]),
        (ATEN.maximum.default, [False, False, False, True]),
        (ATEN.bmm.default, [False, False, False, False]),
        (ATEN.eq.Tensor, [False, False, False, False]),
        (ATEN.div.Tensor, [False, True, False, False]),
    ],
)
def test_of_two_operands(func: Any, zero: list[bool]) -> None:
    operands = [torch.empty(2, 4, device="meta"), torch.empty(2, 4, device="meta")]
    call = Call("", func, (*operands,), {}, {}, [], "net.py:1")
    assert silence(call, operands, [LEFT, RIGHT]).tolist() == zero


@pytest.mark.parametrize(
    ("func", "more", "zero"),
    [
        (ATEN.relu.default, (), True),
        (ATEN.sigmoid.default, (), False),
        (ATEN.add.Tensor, (1.0,), False),
        (ATEN.clamp.default, (0.5,), False),
        (ATEN.mul.Tensor, (3.0,), True),
        (ATEN.pow.Tensor_Scalar, (0,), False),
    ],
)
def test_of_one_operand(func: Any, more: tuple[Any, ...], zero: bool) -> None:
    operand: Tensor = torch.empty(2, 2, device="meta")
    call = Call("", func, (operand, *more), {}, {}, [], "net.py:1")
    assert silence(call, [operand], [torch.tensor([True, False])]).tolist() == [zero, False]


def test_operations_in_place_leave_later_ones_what_they_are() -> None:
    operands = [torch.empty(2, 4, device="meta"), torch.empty(2, 4, device="meta")]
    for func, zero in ((ATEN.mul_.Tensor, [False, True, True, True]), (ATEN.sub.Tensor, [False, False, False, True])):
        call = Call("", func, (*operands,), {}, {}, [], "net.py:1")
        assert silence(call, operands, [LEFT, RIGHT]).tolist() == zero
