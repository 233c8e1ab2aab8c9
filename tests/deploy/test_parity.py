"""What counts as the same."""

import pytest
import torch
from exported_networks import IMAGES
from torch import Tensor, nn

from netslim.deploy import ParityError
from netslim.deploy.parity import are_alike, check_parity


def test_parity_refuses_what_is_not_a_number() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 2))
    with pytest.raises(ParityError, match="differs from the trained network by nan"):
        check_parity(model, lambda images: torch.full((len(images), 2), torch.nan), IMAGES, "x")
    with pytest.raises(ParityError, match=r"gives shape \(1, 3\), not \(1, 2\)"):
        check_parity(model, lambda images: torch.zeros(len(images), 3), IMAGES, "x")


def test_a_network_that_draws_random_numbers_is_named() -> None:
    class Noise(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn_like(x)

    with pytest.raises(ParityError, match=r"^Noise draws random numbers: it gives something else at every call"):
        check_parity(Noise(), Noise(), IMAGES, "x")


def test_a_network_that_gives_no_number_is_said_to_draw_none() -> None:
    model = nn.Linear(3, 2)
    model.bias.data.fill_(torch.nan)
    with pytest.raises(ParityError, match=r"^Linear gives no finite number on random inputs, so that no file can be "):
        check_parity(model, model, torch.zeros(1, 3), "x")


def test_networks_are_alike_up_to_rounding() -> None:
    class Draws(nn.Module):
        def __init__(self, factor: float = 1) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.factor * x.mul_(2) + torch.rand(3), x > 0

    before = IMAGES.clone()
    assert are_alike(Draws(), Draws(), IMAGES[..., :3])
    assert are_alike(Draws(), Draws(1 + 1e-6), IMAGES[..., :3])
    assert not are_alike(Draws(), Draws(1.1), IMAGES[..., :3])
    assert not are_alike(Draws(), nn.Identity(), IMAGES[..., :3])
    assert torch.equal(IMAGES, before)
