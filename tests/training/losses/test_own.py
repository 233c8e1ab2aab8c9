import pytest
import torch
import torch.nn.functional as F

from netslim.core.errors import ArgumentError
from netslim.core.plugins.references import UserObject
from netslim.training.losses.own import own_loss


def test_an_own_loss_is_a_function_a_module_or_its_class() -> None:
    for value in (F.mse_loss, torch.nn.MSELoss(), torch.nn.MSELoss):
        own = UserObject(field="loss", reference="l.py:f", value=value)
        assert own_loss(own)(torch.ones(2), torch.zeros(2)) == 1
    learns = UserObject(field="loss", reference="l.py:f", value=torch.nn.Linear(2, 1))
    with pytest.raises(ArgumentError, match="nothing trains its parameters: requires_grad_"):
        own_loss(learns)
    with pytest.raises(ArgumentError, match=r"`loss='l.py:f'`: it gives an int, not a function \(outputs, labels\)"):
        own_loss(UserObject(field="loss", reference="l.py:f", value=3))
