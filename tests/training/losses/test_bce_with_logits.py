import torch
import torch.nn.functional as F

from netslim.training.losses import LOSSES


def test_bce_takes_whole_numbers_and_weighs_the_positives() -> None:
    logits, labels = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]]), torch.tensor([[1, 0, 1], [0, 0, 1]])
    expected = F.binary_cross_entropy_with_logits(logits, labels.float(), pos_weight=torch.tensor([1.0, 2.0, 3.0]))
    assert LOSSES.get("bce_with_logits").build(torch.tensor([1.0, 2.0, 3.0]), 0.0)(logits, labels) == expected
