import pytest
import torch

from netslim.training.metrics import METRICS


def test_the_mean_of_the_differences_and_less_is_better() -> None:
    error = METRICS.get("mean_absolute_error")
    assert error.score
    assert error.score(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 0.0])) == 2
    assert not error.higher_is_better
    with pytest.raises(ValueError, match="not of one shape"):
        error.score(torch.zeros(4, 1), torch.zeros(4))
