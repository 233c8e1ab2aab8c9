import pytest
import torch

from netslim.training.metrics import METRICS


def test_accuracy_of_images_and_of_pixels() -> None:
    score = METRICS.get("accuracy").score
    assert score
    assert score(torch.eye(3), torch.tensor([0, 1, 1])) == pytest.approx(2 / 3)
    pixels = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # (1, 2, 1, 2): classes 0 and 1
    assert score(pixels, torch.tensor([[[0, 0]]])) == 0.5
    with pytest.raises(ValueError, match="the labels are not one class number each"):
        score(torch.eye(3), torch.zeros(3, 1))
