"""What counts as a number."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from netslim.core.numbers import is_number


@pytest.mark.parametrize("value", [1, 0.5, True, Fraction(1, 3), np.float32(2.0), np.int64(3)])
def test_numbers_of_python_and_numpy_are_numbers(value: object) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", ["1", None, 1j, [1], torch.tensor(1.0)])
def test_what_only_looks_like_a_number_is_none(value: object) -> None:
    assert not is_number(value)
