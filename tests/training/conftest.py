"""A network small enough to be computed by hand, with what the penalty and the optimizer care about."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from netslim.models.channel_selection import ChannelSelection


class Tiny(nn.Module):
    """Convolution, BatchNorm, selection, linear: (N, 1, 4, 4) -> (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.select = ChannelSelection(4, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(torch.relu(self.select(self.bn(self.conv(x)))).mean((2, 3)))
        return logits


@pytest.fixture
def make_tiny() -> Callable[[], Tiny]:
    def make(seed: int = 3) -> Tiny:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = Tiny()
            nn.init.uniform_(model.bn.weight, -1, 1)
        return model

    return make


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(8, 1, 4, 4, generator=generator), torch.randint(0, 3, (8,), generator=generator)
