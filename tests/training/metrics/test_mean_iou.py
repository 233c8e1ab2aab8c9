import pytest
import torch

from metrics.measured import measured
from netslim.training.metrics import METRICS
from netslim.training.metrics.running import Gathered


def test_mean_iou_is_of_all_pixels_together_and_ignores_what_is_no_class() -> None:
    gather = METRICS.get("mean_iou").gather
    assert gather
    logits = torch.nn.functional.one_hot(torch.tensor([[[0, 0, 1, 1]], [[1, 1, 1, 2]]]), 4).permute(0, 3, 1, 2).float()
    targets = torch.tensor([[[0, 1, 1, 255]], [[1, 1, -100, 0]]])
    batches = [(logits[:1], targets[:1]), (logits[1:], targets[1:])]
    # class 0: 1 of {2 said + 2 true - 1}; class 1: 3 of 3 said, 4 true; class 2: none of 1; class 3 is nowhere
    assert measured(Gathered(gather()), batches) == pytest.approx((1 / 3 + 3 / 4 + 0) / 3)
