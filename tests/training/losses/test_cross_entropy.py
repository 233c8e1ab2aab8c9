import pytest
import torch
import torch.nn.functional as F

from netslim.training.losses import LOSSES

LOGITS, CLASSES = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]]), torch.tensor([0, 1])


def test_cross_entropy_is_torchs_with_weights_and_smoothing() -> None:
    weights = torch.tensor([1.0, 2.0, 3.0])
    expected = F.cross_entropy(LOGITS, CLASSES, weight=weights, label_smoothing=0.1)
    assert LOSSES.get("cross_entropy").build(weights, 0.1)(LOGITS, CLASSES) == expected


def test_cross_entropy_of_one_output_would_always_be_zero() -> None:
    with pytest.raises(ValueError, match="one output is no choice between classes"):
        LOSSES.get("cross_entropy").build(None, 0.0)(torch.randn(4, 1), torch.rand(4, 1))
