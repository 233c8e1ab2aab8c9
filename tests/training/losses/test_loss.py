"""What every loss keeps to: a scalar of a batch, and the settings that it says it has a use for."""

import pytest
import torch

from netslim.core.errors import UsageError
from netslim.training.losses import LOSSES

BATCHES = {"cross_entropy": (torch.tensor([[2.0, -1.0], [0.0, 1.0]]), torch.tensor([0, 1]))}
OTHERS = (torch.tensor([[2.0, -1.0], [0.0, 1.0]]), torch.tensor([[1, 0], [1, 1]]))


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_loss_is_changed_by_the_settings_that_it_has_a_use_for_and_by_no_others(name: str) -> None:
    spec, (outputs, targets) = LOSSES.get(name), BATCHES.get(name, OTHERS)
    plain = spec.build(None, 0.0)(outputs, targets)
    assert plain.shape == ()
    assert (spec.build(None, 0.1)(outputs, targets) != plain) == spec.smooths_labels
    weighted = spec.build(torch.tensor([1.0, 3.0]), 0.0)(outputs, targets)
    assert (weighted != plain) == spec.weighs_classes


def test_a_loss_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"^unknown loss 'hinge' \(known: bce_with_logits, cross_entropy, mse\)$"):
        LOSSES.get("hinge")
