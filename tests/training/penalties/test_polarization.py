"""The polarisation penalty against its formula and its derivative."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from penalties.penalised import penalty, scales, soft


def test_the_reward_of_polarization_ends_at_one() -> None:
    """Without an end, a network with few large scales would gain without limit by growing them."""
    few = [0.0] * 9
    assert penalty("polarization", scales(*few, 50.0), 1.0).value() == pytest.approx(1.2 * 50 - 0.9 - 0.9)


def test_polarization_by_hand() -> None:
    """Mean 0.4: 0.1 and 0.2 are below it, 0.5 and 0.8 above, so the mean's own part is zero."""
    norm = scales(0.1, -0.2, 0.5, -0.8)
    penalty("polarization", norm, 1.0, polarity=1.2).after_step_(0.05)
    expected = [soft(0.1, 0.05 * 2.2), soft(-0.2, 0.05 * 2.2), soft(0.5, 0.05 * 0.2), soft(-0.8, 0.05 * 0.2)]
    assert norm.weight.tolist() == pytest.approx(expected, abs=1e-7)
    assert norm.weight[0] == 0


@settings(deadline=None)
@given(
    st.lists(st.floats(-2, 2).filter(lambda value: abs(value) != 1), min_size=3, max_size=12, unique_by=abs),
    st.floats(0, 2),
)
def test_the_slope_of_polarization_is_its_derivative(values: list[float], t: float) -> None:
    norm = scales(*values).double()
    found = penalty("polarization", norm, 1.0, polarity=t)
    sizes = norm.weight.detach().abs().requires_grad_()
    found._total(sizes, None).backward()
    assert sizes.grad is not None
    torch.testing.assert_close(found._slopes()[0], sizes.grad)  # type: ignore[attr-defined]
