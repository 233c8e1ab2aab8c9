"""Numbers that modules hold, and by which their code reshapes, follow the channels; as factors they keep them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.dependency.slicing import rebuilt
from netslim.dependency.trace import Width
from pruning.kinds import IMAGES, Net, gap, lively


class Held(nn.Module):
    """A part that holds its width, under several names and with others."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width, self.inner, self.rows, self.shape = width, 8, 4 * width, (width, 2, 2)
        self.project, self.back, self.norm = nn.Conv2d(width, 8, 1), nn.Conv2d(8, width, 1), nn.BatchNorm2d(8)
        self.read, self.write = nn.Linear(self.rows, width), nn.Linear(width, self.rows)
        self.gate, self.doubled = nn.Conv2d(width, 1, 1), nn.Conv2d(width, 2 * width, 1)


class Gate(Held):
    def forward(self, x: Tensor) -> Tensor:
        found = self.back(F.relu(self.project(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(found).view(-1, self.width, 1, 1)


class NonLocal(Held):
    """One number for three layers' channels (Wang et al. 2018)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__(width)
        self.query, self.key = nn.Conv2d(width, 8, 1), nn.Conv2d(width, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, *sides = x.shape
        query, key, value = (own(x).view(batch, self.inner, -1) for own in (self.query, self.key, self.project))
        weights = torch.softmax(query.mT @ key, -1)
        return x + self.back(self.norm((value @ weights.mT).view(batch, self.inner, *sides)))


class Selecting(Held):
    def forward(self, x: Tensor) -> Tensor:
        shares = self.doubled(x.mean((2, 3), keepdim=True)).view(len(x), 2, self.width, 1, 1).softmax(1)
        return (torch.stack([x, x.tanh()], 1) * shares).sum(1)


class Flat(Held):
    def forward(self, x: Tensor) -> Tensor:
        y = self.read(F.adaptive_avg_pool2d(x, 2).view(-1, self.rows))
        return self.write(F.relu(y)).view(-1, *self.shape)


class Expanded(Held):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.gate(x)).expand(-1, self.width, -1, -1)


class Split(Held):
    def forward(self, x: Tensor) -> Tensor:
        values, gates = torch.split(self.doubled(x), self.width, 1)
        return values * torch.sigmoid(gates)


class Recurrent(Held):
    """Its first state is zero, and as wide as it says (ConvGRU, Ballas et al. 2016)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__(width)
        self.hidden = 6
        self.gates, self.state, self.last = nn.Conv2d(22, 12, 1), nn.Conv2d(22, 6, 1), nn.Conv2d(6, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(len(x), self.hidden, *x.shape[2:], device=x.device, dtype=x.dtype)
        for _ in range(2):
            keep, reset = self.gates(torch.cat([x, h], 1)).sigmoid().split(self.hidden, 1)
            h = keep * h + (1 - keep) * self.state(torch.cat([x, reset * h], 1)).tanh()
        return self.last(h)


class Checked(Held):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.width:
            raise ValueError(f"{x.shape[1]} channels instead of {self.width}")
        return self.back(F.relu(self.norm(self.project(x))))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([Gate(), Gate()])

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x


def unflattened() -> nn.Module:
    means = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 64), nn.Unflatten(1, (16, 2, 2)))
    return nn.Sequential(means, nn.BatchNorm2d(16), nn.ReLU())


def normalised() -> nn.Module:
    return nn.Sequential(nn.Conv2d(16, 16, 1), nn.GroupNorm(4, 16, affine=False), nn.ReLU())


PARTS: dict[str, Callable[[], nn.Module]] = {
    **{kind.__name__: kind for kind in (Gate, NonLocal, Selecting, Flat, Expanded, Split, Recurrent, Checked, Twice)},
    "Unflatten": unflattened,
    "GroupNorm without scales": normalised,
}


class Behind(Net):
    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.out(self.part(F.relu(self.bn(self.conv(x)))))
        return found


@pytest.mark.parametrize("name", PARTS)
def test_they_follow_the_channels(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = lively(Behind(PARTS[name]()))
    plan = netslim.plan(model, IMAGES, percent=0.5, criterion="l2_norm")
    assert {part.name for part in plan.left_alone} <= {"out", "part.gate"}
    small = netslim.apply(model, plan)
    assert netslim.verify(model, small, IMAGES).holds
    larger = torch.randn(3, 3, 15, 15, generator=torch.Generator().manual_seed(2))
    assert gap(netslim.pruning.masked(model, plan).eval(), small.eval(), larger) < 1e-5
    netslim.save(tmp_path / "small.pth.tar", small)
    again = netslim.load(tmp_path / "small.pth.tar", model=Behind(PARTS[name]())).eval()
    assert gap(small, again, larger) == 0
    small.train()(IMAGES).square().sum().backward()


def test_the_numbers_say_what_is_left() -> None:
    model = lively(Behind(Flat()))
    small = netslim.apply(model, netslim.plan(model, IMAGES, percent=0.5, criterion="l2_norm"))
    part = small.get_submodule("part")
    assert (part.rows, part.shape[0]) == (part.read.in_features, part.write.out_features // 4)
    assert part.rows < 64
    assert part.width == 16  # no code asks for it
    assert type(part.shape) is tuple
    assert part.shape[1:] == (2, 2)


class Scaled(NonLocal):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.inner**-0.5


class Literal(Held):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.back(self.project(x))).view(-1, 16, *x.shape[2:])


@pytest.mark.parametrize(
    ("part", "names"),
    [(Scaled, {"part.project", "part.query", "part.key"}), (Literal, {"conv", "part.back"})],
)
def test_widths_that_are_factors_or_written_down_stay(part: type[Held], names: set[str]) -> None:
    model = lively(Behind(part()))
    plan = netslim.plan(model, IMAGES, percent=0.5, criterion="l2_norm")
    assert netslim.verify(model, netslim.apply(model, plan), IMAGES).holds
    assert {own.name for own in plan.left_alone if "has a fixed size at test_widths.py:" in own.reason} == names


def test_numbers_are_written_where_their_channels_are_cut() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, [3, 2]), nn.GroupNorm(3, 3, affine=False))
    widths = {Width("1", "unflattened_size", 0): ("0.weight", 0), Width("2", "num_channels"): ("0.weight", 1)}
    small = rebuilt(model, {("0.weight", 0): torch.tensor([0, 3])}, widths)
    assert small[1].unflattened_size == [2, 2]
    assert small[2].num_channels == small[2].num_groups == 3
    assert model[1].unflattened_size == [3, 2]
