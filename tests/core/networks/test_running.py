"""What a network raises is told in one line, with what it would take."""

import pytest
import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.running import DoesNotRunError, running


def test_a_missing_batch_dimension_is_hinted_at() -> None:
    model, image = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2)), Inputs.of(torch.zeros(3, 8, 8))
    with pytest.raises(DoesNotRunError) as caught, running(model, image.map(TensorSpec.of)):
        image.call(model)
    assert caught.value.hint == "; it runs on an example with a batch dimension: give example[None]"
    assert str(caught.value).startswith("Sequential does not run on an input of 8 x 8: RuntimeError: ")


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
