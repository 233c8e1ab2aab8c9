"""A cut is held against the masked network before it is returned; random networks of all structures at once."""

import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.pruning import apply, cut_check, plan, verify
from pruning.networks import Flattened, randomised


def test_an_activation_that_makes_something_of_zero_is_found_out() -> None:
    class Bright(Flattened):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(torch.sigmoid(self.bn(self.plain(self.conv(x)))).flatten(1))

    model = randomised(Bright())
    images = torch.randn(2, 1, 4, 4)
    with pytest.raises(UsageError) as caught:
        apply(model, plan(model, images[:1], percent=0.5))
    assert re.fullmatch(
        r"Bright without the planned channels does something else than with them silenced: output differs by [\d.]+% "
        r"of its size on random inputs; leave layers out with `ignore`, and please report it",
        str(caught.value),
    )


def test_it_is_found_out_behind_a_gate_that_is_still_closed() -> None:
    class Gated(Flattened):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            y = self.bn(self.plain(self.conv(x)))
            return self.fc((torch.relu(y) + self.gate * torch.sigmoid(y)).flatten(1))

    model, images = randomised(Gated()), torch.randn(2, 1, 4, 4)
    with pytest.raises(UsageError, match=r"^Gated without the planned channels does something else than with them"):
        apply(model, plan(model, images[:1], percent=0.5))


def test_it_is_found_out_of_networks_for_batches_of_two_too() -> None:
    class Pairs(Flattened):
        def forward(self, x: Tensor) -> Tensor:
            first, second = x
            y = torch.stack([first, second])
            return self.fc(torch.sigmoid(self.bn(self.plain(self.conv(y)))).flatten(1))

    model = randomised(Pairs())
    with pytest.raises(UsageError, match=r"^Pairs without the planned channels does something else than with them"):
        apply(model, plan(model, torch.randn(2, 1, 4, 4), percent=0.5))


class Deep(Flattened):
    """Wild behind its first layer where its scales are not small, as very deep networks are: digits become signs."""

    def __init__(self) -> None:
        super().__init__(channels=61)
        self.scale = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(self.first(self.bn(self.plain(self.conv(x)))).flatten(1))
        for _ in range(60):
            y = y + torch.sin(20 * self.scale(y))
        return y

    def first(self, y: Tensor) -> Tensor:
        return torch.relu(y)


def test_where_rounding_grows_it_is_held_as_it_is() -> None:
    class Bright(Deep):
        def first(self, y: Tensor) -> Tensor:
            return torch.sigmoid(y)

    class Gated(Deep):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Parameter(torch.zeros(1))

        def first(self, y: Tensor) -> Tensor:
            return torch.relu(y) + self.gate * torch.sigmoid(y)

    right, *wrong = randomised(Deep()), randomised(Bright()), randomised(Gated())
    images = torch.randn(2, 1, 4, 4)
    for model in (right, *wrong):
        nn.init.constant_(model.scale.weight, 0.001)
        model.scale.reset_running_stats()
    assert verify(right, apply(right, plan(right, images[:1], percent=0.5)), images).holds
    for model in wrong:
        with pytest.raises(UsageError, match="without the planned channels does something else than with them"):
            apply(model, plan(model, images[:1], percent=0.5))


STEPS = (
    "conv",
    "plain",
    "add",
    "cat",
    "depthwise",
    "grouped",
    "squeeze",
    "shuffle",
    "halves",
    "shared",
    "norm",
    "mean",
)


class Graph(nn.Module):
    """Each step reads one or two of the maps so far (by number, counted back) and adds one.

    Args:
        steps: (name of the step, map, another map, width).
    """

    def __init__(self, steps: list[tuple[str, int, int, int]]) -> None:
        super().__init__()
        self.steps = steps
        self.layers = nn.ModuleList()
        widths = [4]
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
        for name, first, second, width in steps:
            one, other = widths[-1 - first % len(widths)], widths[-1 - second % len(widths)]
            layer, given = self._build(name, one, other, 2 * width)
            self.layers.append(layer)
            widths.append(given)
        self.heads = nn.ModuleList([nn.Linear(width, 2) for width in widths[-2:]])

    def _build(self, name: str, one: int, other: int, width: int) -> tuple[nn.Module, int]:
        normed: dict[str, Any] = {
            "conv": lambda: nn.Conv2d(one, width, 3, padding=1),
            "depthwise": lambda: nn.Conv2d(one, one, 3, padding=1, groups=one),
            "grouped": lambda: nn.Conv2d(one, width, 1, groups=2),
            "shared": lambda: nn.Conv2d(one, one, 1, bias=False),
            "norm": nn.Identity,
            "add": lambda: nn.Conv2d(one, other, 1),
        }
        if name in normed:
            layer = normed[name]()
            given = layer.weight.shape[0] if hasattr(layer, "weight") else one
            return nn.Sequential(layer, nn.BatchNorm2d(given)), given
        if name == "plain":
            return nn.Conv2d(one, width, 1), width
        if name == "squeeze":
            return nn.Sequential(nn.Conv2d(one, 2, 1), nn.ReLU(), nn.Conv2d(2, one, 1), nn.Sigmoid()), one
        given = {"cat": one + other, "shuffle": one, "halves": one // 2, "mean": one}[name]
        return nn.Identity(), given

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = [self.stem(x)]
        for (name, first, second, _), layer in zip(self.steps, self.layers, strict=True):
            one, other = maps[-1 - first % len(maps)], maps[-1 - second % len(maps)]
            maps.append(torch.relu(self._step(name, layer, one, other)))
        return tuple(head(one.mean((2, 3))) for head, one in zip(self.heads, maps[-2:], strict=True))

    def _step(self, name: str, layer: nn.Module, one: Tensor, other: Tensor) -> Tensor:
        n, channels, height, width = one.shape
        if name == "add":
            return layer(one) + other
        if name == "cat":
            return torch.cat([one, other], 1)
        if name == "squeeze":
            return one * layer(one.mean((2, 3), keepdim=True))
        if name == "shuffle":
            return one.view(n, 2, channels // 2, height, width).transpose(1, 2).reshape(one.shape)
        if name == "halves":
            first, second = one.chunk(2, 1)
            return first * torch.sigmoid(second)
        if name == "shared":
            return layer(layer(one))
        if name == "mean":
            return one - one.mean((2, 3), keepdim=True)
        return layer(one)


@given(
    st.lists(
        st.tuples(st.sampled_from(STEPS), st.integers(0, 3), st.integers(0, 3), st.integers(1, 4)),
        min_size=1,
        max_size=9,
    ),
    st.floats(0.05, 0.95),
    st.integers(0, 1000),
)
@settings(deadline=None, max_examples=40)
def test_masked_and_rebuilt_agree(steps: list[tuple[str, int, int, int]], percent: float, seed: int) -> None:
    torch.manual_seed(seed)
    model = randomised(Graph(_even(steps)))
    images = torch.randn(2, 3, 5, 5)
    try:
        decided = plan(model, images, percent=percent)
    except UsageError as error:
        assert "channels that can go" in str(error)  # noqa: PT017
        return
    small = apply(model, decided)
    assert verify(model.double(), small.double(), images.double()).agrees
    assert decided.after.params <= decided.before.params
    small.train()(torch.randn(4, 3, 5, 5).double())[0].sum().backward()


def _even(steps: list[tuple[str, int, int, int]]) -> list[tuple[str, int, int, int]]:
    """Without halves of an odd number of channels: they could not be built."""
    widths, kept = [4], []
    for name, first, second, width in steps:
        one, other = widths[-1 - first % len(widths)], widths[-1 - second % len(widths)]
        given = {
            **dict.fromkeys(("conv", "plain", "grouped"), 2 * width),
            **{"add": other, "cat": one + other, "halves": one // 2},
        }.get(name, one)
        if name in ("halves", "shuffle", "grouped") and one % 2:
            continue
        kept.append((name, first, second, width))
        widths.append(given)
    return kept or [("conv", 0, 0, 2)]


def test_a_device_without_double_precision_is_held_in_single(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Apple's GPUs are: every move to float64 raises."""
    perturbed, model = cut_check._perturbed, randomised(Flattened())
    decided = plan(model, torch.zeros(2, 1, 4, 4), percent=0.4)

    def on_apple(model: nn.Module, dtype: torch.dtype, **norms: bool) -> nn.Module:
        if dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        tried.append(dtype)
        return perturbed(model, dtype, **norms)

    tried: list[torch.dtype] = []
    monkeypatch.setattr(cut_check, "_perturbed", on_apple)
    apply(model, decided)
    assert tried == [torch.float32]


class Centred(nn.Conv2d):
    """A filter of mean zero, times what is set from outside."""

    factor = 1.0

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight * self.factor, self.bias)


class Asking(nn.Module):
    """Does something else behind layers of a class."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 1), nn.BatchNorm2d(8), Centred(8, 8, 3), nn.BatchNorm2d(8))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).relu() if isinstance(layer, Centred) else layer(x)
        return x.mean((2, 3))


class Setting(Asking):
    """Sets what a weight depends on."""

    def forward(self, x: Tensor) -> Tensor:
        first, norm, centred, last = self.layers
        found = 0
        for centred.factor in (0.5, 2.0):
            found = found + last(centred(norm(first(x)))).relu()
        return found.mean((2, 3))  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [Asking, Setting])
def test_a_network_that_is_another_one_with_plain_weights_is_refused(kind: type[nn.Module]) -> None:
    model, images = randomised(kind()), torch.randn(2, 1, 6, 6)
    decided = plan(model, images[:1], percent=0.3, criterion="l2_norm")
    with pytest.raises(UsageError, match=r"does something else where the weights of layers\.2, which are computed"):
        apply(model, decided)
