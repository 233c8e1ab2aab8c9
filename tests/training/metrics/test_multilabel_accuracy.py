import torch

from netslim.training.metrics import METRICS


def test_the_share_of_labels_that_are_right() -> None:
    score = METRICS.get("multilabel_accuracy").score
    assert score
    assert score(torch.tensor([[1.0, -1.0], [2.0, 3.0]]), torch.tensor([[1, 0], [0, 1]])) == 0.75
