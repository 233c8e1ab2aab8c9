import torch

from netslim.data.statistics import channel_statistics


def test_statistics_are_exact() -> None:
    images = torch.tensor([[0, 255], [255, 255]], dtype=torch.uint8).view(2, 2, 1, 1)
    mean, std = channel_statistics(images)
    assert mean == (0.5, 1.0)
    assert std == (0.5, 1.0)  # the second channel never changes: 1, to be divided by
