"""What a network raises is told in one line, with what it would take."""

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.running import DoesNotRunError, check_batched, running


def test_a_missing_batch_dimension_is_hinted_at() -> None:
    model, image = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2)), Inputs.of(torch.zeros(3, 8, 8))
    with pytest.raises(DoesNotRunError) as caught, running(model, image.map(TensorSpec.of)):
        image.call(model)
    assert caught.value.hint == "; it runs on an example with a batch dimension: give example[None]"
    assert str(caught.value).startswith("Sequential does not run on an input of 8 x 8: RuntimeError: ")


CONVOLUTIONS = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))


@pytest.mark.parametrize(
    ("model", "shape"),
    [(CONVOLUTIONS, (3, 8, 8)), (nn.Conv1d(3, 4, 3), (3, 8)), (nn.Sequential(nn.Linear(3, 4), nn.ReLU()), (3,))],
)
def test_an_example_without_batch_is_refused_though_layers_take_it(model: nn.Module, shape: tuple[int, ...]) -> None:
    said = rf"^an example of {' x '.join(map(str, shape))} has no batch dimension for .*: give example\[None\]$"
    for use in (netslim.measure, lambda model, example: netslim.plan(model, example, percent=0.5, criterion="l2_norm")):
        with pytest.raises(UsageError, match=said):
            use(model, torch.zeros(shape))


class Spectrogram(nn.Module):
    """Takes images (N, H, W) without channels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Conv2d(1, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x.unsqueeze(1))
        return found


@pytest.mark.parametrize(
    ("model", "shape"),
    [(CONVOLUTIONS, (3, 3, 8, 8)), (Spectrogram(), (3, 8, 8)), (nn.Linear(3, 4), (3, 3)), (nn.Flatten(0), (3,))],
)
def test_an_example_with_a_batch_is_not(model: nn.Module, shape: tuple[int, ...]) -> None:
    check_batched(model, Inputs.of(torch.zeros(shape)))


def test_a_missing_input_is_hinted_at() -> None:
    model, image = nn.Bilinear(3, 3, 2), Inputs.of(torch.zeros(2, 3))
    with pytest.raises(DoesNotRunError) as caught, running(model, image.map(TensorSpec.of)):
        image.call(model)
    assert caught.value.hint == "; several inputs are given as a tuple, by a loader as ((x, y), labels)"


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ("_fake_quantize_x", "its values pass through fake quantisation; prune first, and prepare the small network"),
        ("strange", "torch does not know what shapes strange gives"),
    ],
)
def test_what_gives_no_shapes_is_named(operation: str, said: str) -> None:
    model, image = nn.Identity(), Inputs.of(torch.zeros(2, 3))
    with pytest.raises(UsageError) as caught, running(model, image.map(TensorSpec.of)):
        raise NotImplementedError(f"aten::{operation}: attempted to run this operator with Meta tensors, but\nmore")
    assert str(caught.value) == f"Identity can't be followed: {said}"
