import pytest
import torch
import torch.nn.functional as F

from netslim.core.errors import ArgumentError
from netslim.core.plugins.references import UserObject
from netslim.training.losses import LOSSES
from netslim.training.losses.own import own_loss

LOGITS, CLASSES = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]]), torch.tensor([0, 1])


def test_cross_entropy_is_torchs_with_weights_and_smoothing() -> None:
    weights = torch.tensor([1.0, 2.0, 3.0])
    expected = F.cross_entropy(LOGITS, CLASSES, weight=weights, label_smoothing=0.1)
    assert LOSSES.get("cross_entropy").build(weights, 0.1)(LOGITS, CLASSES) == expected


def test_cross_entropy_of_one_output_would_always_be_zero() -> None:
    with pytest.raises(ValueError, match="one output is no choice between classes"):
        LOSSES.get("cross_entropy").build(None, 0.0)(torch.randn(4, 1), torch.rand(4, 1))


def test_bce_takes_whole_numbers_and_weighs_the_positives() -> None:
    labels = torch.tensor([[1, 0, 1], [0, 0, 1]])
    expected = F.binary_cross_entropy_with_logits(LOGITS, labels.float(), pos_weight=torch.tensor([1.0, 2.0, 3.0]))
    assert LOSSES.get("bce_with_logits").build(torch.tensor([1.0, 2.0, 3.0]), 0.0)(LOGITS, labels) == expected


def test_mse_does_not_broadcast() -> None:
    loss = LOSSES.get("mse").build(None, 0.0)
    assert loss(torch.tensor([1.0, 3.0]), torch.tensor([0, 1])) == 2.5
    with pytest.raises(ValueError, match="not of one shape"):
        loss(torch.zeros(4, 1), torch.zeros(4))


def test_an_own_loss_is_a_function_a_module_or_its_class() -> None:
    for value in (F.mse_loss, torch.nn.MSELoss(), torch.nn.MSELoss):
        own = UserObject(field="loss", reference="l.py:f", value=value)
        assert own_loss(own)(torch.ones(2), torch.zeros(2)) == 1
    learns = UserObject(field="loss", reference="l.py:f", value=torch.nn.Linear(2, 1))
    with pytest.raises(ArgumentError, match="nothing trains its parameters: requires_grad_"):
        own_loss(learns)
    with pytest.raises(ArgumentError, match=r"`loss='l.py:f'`: it gives an int, not a function \(outputs, labels\)"):
        own_loss(UserObject(field="loss", reference="l.py:f", value=3))
