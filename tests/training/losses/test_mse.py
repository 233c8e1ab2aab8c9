import pytest
import torch

from netslim.training.losses import LOSSES


def test_mse_does_not_broadcast() -> None:
    loss = LOSSES.get("mse").build(None, 0.0)
    assert loss(torch.tensor([1.0, 3.0]), torch.tensor([0, 1])) == 2.5
    with pytest.raises(ValueError, match="not of one shape"):
        loss(torch.zeros(4, 1), torch.zeros(4))
