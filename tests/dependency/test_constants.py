"""Numbers made from the width: what changes with it is left alone or refused, however the number was made."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.errors import UsageError
from pruning.kinds import Net, Part, gap, lively, pruned, silence_gone_

WIDE = {
    "shape": lambda s, y: y * y.shape[1] ** -0.5,
    "size": lambda s, y: y / y.size(1),
    "in place": lambda s, y: y.mul_(y.shape[1] ** -0.5),
    "numel": lambda s, y: y / y.numel(),
    "of a convolution": lambda s, y: y / s.conv.out_channels,
    "of a BatchNorm": lambda s, y: y * math.sqrt(s.bn.num_features),
    "of a linear layer": lambda s, y: y * s.fc.in_features**-0.5,
    "of a weight": lambda s, y: y / s.conv.weight.shape[0],
    "of a weight's numbers": lambda s, y: y / s.conv.weight.numel(),
    "length of the scales": lambda s, y: y * len(s.bn.weight),
    "new_full": lambda s, y: y * y.new_full((1,), y.shape[1] ** -0.5),
    "full": lambda s, y: y * torch.full((1,), 1 / y.shape[1]),
    "full on a device": lambda s, y: y * torch.full((1,), 1 / y.shape[1], device=y.device),
    "tensor": lambda s, y: y / torch.tensor(y.shape[1]),
    "tensor on a device": lambda s, y: y / torch.tensor([float(y.shape[1])], device=y.device),
    "as_tensor": lambda s, y: y / torch.as_tensor(y.shape[1], dtype=y.dtype, device=y.device),
    "new_tensor": lambda s, y: y * y.new_tensor(y.shape[1]),
    "scalar_tensor": lambda s, y: y / torch.scalar_tensor(y.shape[1]),
    "root of a tensor": lambda s, y: y / torch.sqrt(torch.tensor(float(y.shape[1]))),
    "filled": lambda s, y: y * torch.empty(1).fill_(y.shape[1]),
    "counted": lambda s, y: y * torch.ones(y.shape[1]).sum() / 16,
    "counted on a device": lambda s, y: y * y.new_ones(y.shape[1]).sum() / 16,
    "counted like it": lambda s, y: y * torch.ones_like(y).sum(1, keepdim=True) / 16,
    "the last number": lambda s, y: y * (torch.arange(y.shape[1], device=y.device).float().max() / 15),
    "a mean by sum and size": lambda s, y: y * (y.sum(1, keepdim=True) / y.size(1)).sigmoid(),
    "a mean": lambda s, y: y - y.mean(1, keepdim=True),
    "root of the mean square": lambda s, y: y * torch.rsqrt(y.pow(2).sum(1, keepdim=True) / y.shape[1] + 1e-5),
    "deviation": lambda s, y: y / (y.pow(2).sum(1, keepdim=True) / (y.shape[1] - 1) + 1).sqrt(),
    "exponent": lambda s, y: y ** (y.shape[1] / 16),
    "limit": lambda s, y: y.clamp(max=y.shape[1] / 100),
    "slope": lambda s, y: F.leaky_relu(y - 0.5, 1 / y.shape[1]) - F.leaky_relu(y * 0 - 0.5, 1 / y.shape[1]),
    "threshold": lambda s, y: F.threshold(y, y.shape[1] / 100, 0.0),
    "weighted": lambda s, y: torch.lerp(y, y * 2, 1 / y.shape[1]),
    "alpha": lambda s, y: torch.add(y, y, alpha=y.shape[1]),
    "value": lambda s, y: torch.addcmul(y, y, y, value=1 / y.shape[1]),
    "decided by it": lambda s, y: y * 2 if y.shape[1] > 12 else y,
    "positions": lambda s, y: y * torch.linspace(0.1, 1, y.shape[1], device=y.device),
    "normalised": lambda s, y: F.layer_norm(y, y.shape[1:]),
}


@pytest.mark.parametrize("name", WIDE)
def test_what_changes_with_the_width_stays_or_is_exact(name: str) -> None:
    part: Part = WIDE[name]
    model = lively(Net(means=part))
    try:
        small = pruned(model)
    except UsageError as refused:
        assert "\n" not in str(refused)  # noqa: PT017
        return
    silence_gone_(model, small)
    assert gap(model, small, torch.randn(2, 3, 12, 12)) < 1e-5


@pytest.mark.parametrize("name", ["shape", "of a BatchNorm", "new_full", "full on a device"])
def test_the_line_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=r"conv has a fixed size at test_constants\.py:\d+ \((mul|new_full)\)"):
        pruned(lively(Net(means=WIDE[name])))


def test_other_layers_are_cut_all_the_same() -> None:
    class Two(Net):
        def __init__(self) -> None:
            super().__init__(means=lambda s, y: y * y.shape[1] ** -0.5)
            self.first, self.first_bn = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)
            self.conv = nn.Conv2d(8, 16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(F.relu(self.first_bn(self.first(x))))

    model = lively(Two())
    small = pruned(model)
    assert small.first.out_channels < 8
    assert small.conv.out_channels == 16
    silence_gone_(model, small)
    assert gap(model, small, torch.randn(2, 3, 12, 12)) < 1e-5


def test_numbers_of_the_batch_and_of_space_do_no_harm() -> None:
    model = lively(Net(maps=lambda s, y: y * y.shape[2] ** -0.5 / y.shape[0]))
    small = pruned(model)
    assert silence_gone_(model, small) == 16 - small.conv.out_channels > 0
    assert gap(model, small, torch.randn(2, 3, 12, 12)) < 1e-5


EVEN: dict[str, Part] = {
    "ones": lambda s, y: y * torch.ones(1, y.shape[1], 1, 1),
    "ones on a device": lambda s, y: y * torch.ones(1, y.shape[1], 1, 1, device=y.device),
    "new_ones": lambda s, y: y * y.new_ones(y.shape[1])[:, None, None],
    "full": lambda s, y: y * torch.full((y.shape[1], 1, 1), 0.5),
    "new_full": lambda s, y: y * (1 - y.new_full((y.shape[1], 1, 1), 0.5)).expand_as(y).clone(),
    "filled": lambda s, y: y * torch.empty(y.shape[1]).fill_(2.0)[:, None, None],
    "filled on a device": lambda s, y: y + torch.empty(y.shape[1], 1, 1, device=y.device).fill_(1.0).zero_(),
    "filled and brought to a device": lambda s, y: y * torch.empty(y.shape[1]).to(y).fill_(2.0)[:, None, None],
    "a filter of its own, repeated": lambda s, y: F.conv2d(
        y, torch.ones(3, 3).div(9).repeat(y.shape[1], 1, 1, 1).to(y.device), groups=y.shape[1]
    ),
    "the larger of it and zeros": lambda s, y: torch.maximum(y - y.abs() / 2, torch.zeros(y.shape)),
    "zero elsewhere": lambda s, y: torch.where(y > 0.1, y, torch.tensor(0.0)),
    "zero of a device elsewhere": lambda s, y: torch.where(y > 0.1, y, torch.tensor(0.0, device=y.device)),
    "zero brought to a device elsewhere": lambda s, y: torch.where(y > 0.1, y, torch.tensor([0.0]).to(y.device)),
    "zero of its own type elsewhere": lambda s, y: torch.where(y > 0.1, y, y.new_tensor(0.0)),
    "zeros elsewhere": lambda s, y: torch.where(y > 0.1, y, torch.zeros(y.shape, device=y.device)),
}


@pytest.mark.parametrize("name", EVEN)
def test_what_is_made_the_same_for_as_many_channels_as_there_are_does_no_harm(name: str) -> None:
    model = lively(Net(maps=EVEN[name]))
    small = pruned(model)
    assert silence_gone_(model, small) == 16 - small.conv.out_channels > 0
    assert gap(model, small, torch.randn(2, 3, 12, 12)) < 1e-5


def _first(tensor: Tensor, value: object) -> Tensor:
    tensor[0] = value
    return tensor


def _written(s: Net, y: Tensor, value: object) -> Tensor:
    factors = y.new_ones(1, y.shape[1], 1, 1)
    factors[:, 1::2] = value
    return y * factors


UNEVEN: dict[str, Part] = {
    "of a width that is written down": lambda s, y: y * torch.ones(1, 16, 1, 1),
    "and of its width": lambda s, y: y * (torch.ones(1, y.shape[1], 1, 1) + 1 / y.shape[1]),
    "and of its width on a device": lambda s, y: y * (y.new_ones(1, y.shape[1], 1, 1) / y.shape[1]),
    "added by its width": lambda s, y: y * y.new_ones(y.shape[1], 1, 1).add(y.new_ones(1), alpha=1 / y.shape[1]),
    "its width on a device": lambda s, y: y / torch.tensor(y.shape[1], device=y.device),
    "its width as its type": lambda s, y: y * y.new_tensor([[[1 / y.shape[1]]]]),
    "its width written to a device": lambda s, y: y / _first(torch.zeros(1, device=y.device), y.shape[1]),
    "its width in a part": lambda s, y: y / torch.cat([_first(torch.ones(2, device=y.device), y.shape[1])]).sum(),
    "one for every channel": lambda s, y: y * torch.linspace(1, 2, y.shape[1])[:, None, None],
    "written to": lambda s, y: _written(s, y, 2.0),
    "channels written to": lambda s, y: _written(s, y, y.mean((0, 2, 3))[1::2, None, None]),
    "counted": lambda s, y: y * y.new_ones(1, y.shape[1], 1, 1).cumsum(1),
}


@pytest.mark.parametrize("name", UNEVEN)
def test_what_is_another_number_for_some_channels_or_widths_keeps_them(name: str) -> None:
    with pytest.raises(UsageError, match=r"conv (has a fixed size|meets a tensor that is no parameter|is written)"):
        pruned(lively(Net(maps=UNEVEN[name])))


def _counted(y: Tensor, mask: Tensor) -> Tensor:
    return y * mask * (mask.numel() / mask.float().sum())


DRAWN = {
    "mask of the channels": lambda y: y * y.new_empty(len(y), y.shape[1], 1, 1).bernoulli_(0.8) / 0.8,
    "on the processor": lambda y: y * (torch.rand(y.shape[:2]) < 0.8)[:, :, None, None],
    "noise": lambda y: y + 0.1 * torch.randn(y.shape),
    "torch's own": lambda y: F.dropout2d(y, 0.2, training=True),
    "torch's own in place": lambda y: F.alpha_dropout(y, 0.2, training=True),
    "weighed by how many it takes": lambda y: _counted(y, torch.rand_like(y) < 0.8),
    "drawn from ones": lambda y: _counted(y, torch.bernoulli(torch.full_like(y, 0.5) + torch.ones_like(y) / 4)),
    "drawn into a room": lambda y: _counted(y, torch.empty_like(y).bernoulli_(0.8)),
    "noise as itself": lambda y: y + 0.1 * torch.randn_like(y) / torch.randn_like(y).std(),
    "written to a room": lambda y: torch.empty_like(y).copy_(y),
    "then decided by": lambda y: F.dropout2d(y * torch.rand(y.shape[:2])[:, :, None, None]) * float(torch.rand(())),
}


class Noisy(Net):
    """Something is drawn in training alone, and perhaps an output is for it alone."""

    def __init__(self, draw: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.draw = draw

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn(self.conv(x)))
        if self.training:
            y = self.draw(y)
        found: Tensor = self.fc(y.mean((2, 3)))
        return found


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_in_training_for_every_channel_does_no_harm(name: str) -> None:
    model = lively(Noisy(DRAWN[name]))
    small = pruned(model)
    silence_gone_(model, small)
    assert gap(model, small, torch.randn(2, 3, 12, 12)) < 1e-5
    small.train()(torch.randn(2, 3, 12, 12)).square().sum().backward()
    assert small.conv.weight.grad is not None
    assert small.conv.weight.grad.isfinite().all()


def test_what_is_drawn_is_the_same_on_every_path() -> None:
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.out = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.out(self.bn(self.conv(x)) * torch.rand(()))
            return found if (found > 0).all() else 2 * found

    assert pruned(lively(Deciding())).conv.out_channels < 16


def test_what_is_drawn_for_so_many_channels_as_are_written_down_keeps_them() -> None:
    with pytest.raises(UsageError, match=r"conv has a fixed size at test_constants\.py:\d+ \(add\)"):
        pruned(lively(Noisy(lambda y: y + torch.randn(1, 16, 1, 1))))


def test_what_is_drawn_in_evaluation_keeps_what_it_meets() -> None:
    with pytest.raises(UsageError, match="conv meets a tensor that is no parameter in mul"):
        pruned(lively(Net(maps=lambda s, y: y * torch.rand(1, y.shape[1], 1, 1))))
