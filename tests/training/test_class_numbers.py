"""What is wrong with labels, in one line."""

import pytest
import torch
from torch import Tensor

from netslim.training.class_numbers import unfit

LOGITS = torch.zeros(3, 4)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8])
def test_class_numbers_of_the_outputs_fit(dtype: torch.dtype) -> None:
    assert unfit(LOGITS, torch.tensor([0, 3, 1], dtype=dtype)) == ""


@pytest.mark.parametrize(
    ("outputs", "targets", "said"),
    [
        (LOGITS, torch.tensor([0, 4, 1]), "class numbers from 0 to 4, and the network has 4 outputs: 0 to 3 are"),
        (LOGITS, torch.tensor([0, -1, 1]), "class numbers from -1 to 1"),
        (LOGITS, torch.tensor([0, 1]), "one class number for each of the 3 images"),
        (LOGITS, torch.tensor([0.0, 1.0, 2.0]), "one class number for each of the 3 images"),
        (LOGITS, torch.zeros(3, 4), "wants logits (N, classes) and class numbers (N,)"),
        (torch.zeros(3), torch.tensor([0, 1, 2]), "wants logits (N, classes) and class numbers (N,)"),
    ],
)
def test_what_is_wrong_is_said(outputs: Tensor, targets: Tensor, said: str) -> None:
    assert said in unfit(outputs, targets)


def test_values_are_not_waited_for_where_that_was_not_asked_for() -> None:
    assert unfit(LOGITS, torch.tensor([0, 4, 1]), values=False) == ""
    assert unfit(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)) == ""
