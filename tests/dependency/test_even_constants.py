"""Constants without values that are one number all over are known by it, whatever their size."""

import torch
from torch import Tensor

from netslim.dependency.even_constants import EvenConstants, are_zeros

ATEN = torch.ops.aten


def full(even: EvenConstants, size: int, value: float) -> Tensor:
    made = torch.empty(size, device="meta")
    even.note(ATEN.full.default, "full", ([size], value), {}, made)
    return made


def test_what_is_computed_from_them_and_from_numbers_is_one_number_too() -> None:
    even = EvenConstants()
    wide, narrow, other = full(even, 8, 0.5), full(even, 4, 0.5), full(even, 4, 0.25)
    assert even.number(wide) == even.number(narrow) != even.number(other)
    more, less = torch.empty(8, device="meta"), torch.empty(8, device="meta")
    for alpha, out in ((1.0, more), (0.5, less)):
        even.note(ATEN.add.Tensor, "add", (wide, narrow), {"alpha": alpha}, out)
    assert even.number(more) not in (None, even.number(less))
    total = torch.empty((), device="meta")
    even.note(ATEN.sum.default, "sum", (wide,), {}, total)
    even.note(ATEN.mul.Tensor, "mul", (wide, total), {}, less := torch.empty(8, device="meta"))
    assert even.number(total) is even.number(less) is None


def test_views_are_of_the_same_number_until_something_is_written_to_one() -> None:
    even = EvenConstants()
    made, own = full(even, 8, 0.5), torch.empty(8, device="meta")
    even.renamed(made, own)
    assert even.is_even(own[None].expand(3, 8), 1)
    even.changed(own[2:])
    assert not even.is_even(made, 0)
    assert not even.is_even(own[None], 1)


def test_of_tensors_with_values_the_values_say() -> None:
    even, rows = EvenConstants(), torch.arange(3.0)[:, None].expand(3, 4)
    assert even.is_even(rows, 1)
    assert not even.is_even(rows, 0)
    assert not even.is_even(torch.full((2,), torch.nan), 0)


def test_what_is_filled_is_of_the_number_that_it_is_filled_with() -> None:
    even, made = EvenConstants(), torch.empty(8, device="meta")
    even.note(ATEN.fill_.Scalar, "fill_", (made, 0.5), {}, made)
    assert even.is_even(made, 0)
    part = made[2:]
    even.changed(part)
    even.note(ATEN.fill_.Scalar, "fill_", (part, 0.5), {}, part)
    assert not even.is_even(made, 0)


def test_which_operations_make_zeros() -> None:
    made = torch.empty(8, device="meta")
    assert are_zeros("zero_", (made,), made)
    assert are_zeros("fill_", (made, 0), made)
    assert are_zeros("zeros", ([8],), made)
    assert not are_zeros("fill_", (made, torch.zeros(())), made)
    assert not are_zeros("fill_", (made, 0.5), made)
    assert not are_zeros("zero_", (made[2:],), made[2:])
