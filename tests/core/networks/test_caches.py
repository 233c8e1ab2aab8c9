import functools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.core.networks.caches import caches_kept

GRIDS: dict[object, Tensor] = {}
SEEN: list[object] = []
LINE: Tensor | None = None


def by_dictionary(x: Tensor) -> Tensor:
    if x.shape not in GRIDS:
        GRIDS[x.shape] = line_of(x.shape[3], x.device, x.dtype)
    return GRIDS[x.shape]


def by_default_argument(x: Tensor, known: dict[object, Tensor] = {}) -> Tensor:  # noqa: B006 - as it is written
    return known.setdefault(x.shape[3], line_of(x.shape[3], x.device, x.dtype))


@functools.lru_cache
def kept_line(width: int, dtype: torch.dtype) -> Tensor:
    return torch.linspace(-1, 1, width, device=SEEN[-1], dtype=dtype)  # type: ignore[call-overload, no-any-return]


def by_lru_cache(x: Tensor) -> Tensor:
    SEEN.append(x.device)
    return kept_line(x.shape[3], x.dtype)


def by_global(x: Tensor) -> Tensor:
    global LINE
    if LINE is None:
        LINE = line_of(x.shape[3], x.device, x.dtype)
    return LINE


def line_of(width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.linspace(-1, 1, width, device=device, dtype=dtype)


WAYS = {own.__name__: own for own in (by_dictionary, by_default_argument, by_lru_cache, by_global)}


class Placed(nn.Module):
    """Adds where the columns are, which it keeps outside of the network."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.bn, self.out = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)
        nn.init.normal_(self.bn.weight)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        y = self.out(F.relu(self.bn(self.conv(x))))
        return y + WAYS[self.way](y)


@pytest.mark.parametrize("way", WAYS)
def test_a_network_runs_after_it_was_planned_cut_and_verified(way: str) -> None:
    model, images = Placed(way).eval(), torch.randn(2, 3, 10, 10, generator=torch.Generator().manual_seed(0))
    plan = netslim.plan(model, images, percent=0.4)
    small = netslim.apply(model, plan)
    assert netslim.verify(model, small, images).holds
    netslim.measure(model, torch.empty(2, 3, 10, 10))
    assert model(images).shape == small(images).shape
    assert netslim.plan(model, images, percent=0.4) == plan


def test_what_was_kept_before_is_as_it_was() -> None:
    model = Placed("by_dictionary")
    own = torch.zeros(1)
    GRIDS["own"] = own
    with caches_kept(model):
        del GRIDS["own"]
        GRIDS["other"] = torch.ones(1)
        SEEN.append("something")
    assert GRIDS["own"] is own
    assert "other" not in GRIDS
    assert "something" not in SEEN
