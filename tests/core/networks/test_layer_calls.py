"""What layers with code of their own hand to torch's functions."""

from typing import Any

import pytest
from torch import Tensor, nn

from netslim.core.networks.layer_calls import gives_its_bias, is_as_torch, kind_of, reads_its_input


class Told(nn.Conv2d):
    """Does what torch's does, and counts."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


class Padded(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(x, (1, 1, 1, 1)))


class Activated(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class Strided(nn.ConvTranspose1d):
    """Works with another stride than it says."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return nn.functional.conv_transpose1d(x, self.weight, self.bias, 2, self.padding)


class SlowBias(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias * 2)


class Twice(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + super().forward(x)


class Asking(nn.Conv2d):
    def forward(self, x: Tensor, factor: float) -> Tensor:  # type: ignore[override]
        return super().forward(x) * factor


class ActivatedNorm(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class LastNorm(nn.BatchNorm1d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, -1)).transpose(1, -1)


LAYERS: dict[str, tuple[nn.Module, tuple[bool, bool, bool]]] = {  # reads, gives, is as torch's
    "torch's own": (nn.Conv2d(4, 6, 3), (True, True, True)),
    "without a bias": (nn.Conv2d(4, 6, 3, bias=False), (True, False, True)),
    "told": (Told(4, 6, 3), (True, True, True)),
    "padded by mode": (Told(4, 6, 3, padding=1, padding_mode="reflect"), (False, True, False)),  # each pads anew
    "padded": (Padded(4, 6, 3), (False, True, False)),
    "activated": (Activated(4, 6), (True, False, False)),
    "strided": (Strided(4, 6, 3), (True, True, False)),
    "another bias": (SlowBias(4, 6), (True, False, False)),
    "twice": (Twice(4, 6, 3), (False, False, False)),
    "asking": (Asking(4, 6, 3), (False, False, False)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_what_a_layer_does_beside_its_call(name: str) -> None:
    layer, expected = LAYERS[name]
    assert (reads_its_input(layer), gives_its_bias(layer), is_as_torch(layer)) == expected
    assert getattr(layer, "calls", 0) == 0


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm3d, nn.SyncBatchNorm, ActivatedNorm])
def test_norms_that_read_what_they_are_given(kind: Any) -> None:
    assert reads_its_input(kind(4))


def test_a_norm_that_transposes_does_not() -> None:
    assert not reads_its_input(LastNorm(4))


def test_the_kind_is_of_layers_with_code_of_their_own_alone() -> None:
    assert kind_of(Told(4, 6, 3)) is nn.Conv2d
    assert kind_of(nn.Conv2d(4, 6, 3)) is None
    assert kind_of(nn.ReLU()) is None
    assert kind_of(ActivatedNorm(4), (nn.Linear, nn.Conv2d)) is None
