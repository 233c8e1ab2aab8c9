"""The subgradient against its closed form."""

import pytest
import torch

from penalties.penalised import MIDDLE, penalty, scales


def test_gradients_are_weighted_and_follow_the_schedule() -> None:
    norm = scales(0.5, -0.5, 0.5)
    found = penalty("l1", norm, 1.0, weights={"": torch.tensor([0.0, 1.0, 2.0])}, schedule="linear")
    found.advance(MIDDLE)
    found.before_step_()
    assert norm.weight.grad is not None
    assert norm.weight.grad.tolist() == pytest.approx([0.0, -0.5, 1.0])
