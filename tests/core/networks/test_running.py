"""What a network raises is told in one line, with what it would take."""

import pytest
import torch
from torch import nn

from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.running import DoesNotRunError, running


def test_a_missing_batch_dimension_is_hinted_at() -> None:
    model, image = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2)), Inputs.of(torch.zeros(3, 8, 8))
    with pytest.raises(DoesNotRunError) as caught, running(model, image.map(TensorSpec.of)):
        image.call(model)
    assert caught.value.hint == "; it runs on an example with a batch dimension: give example[None]"
    assert str(caught.value).startswith("Sequential does not run on an input of 8 x 8: RuntimeError: ")
