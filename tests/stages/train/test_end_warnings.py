"""What is said at the end of a training that went wrong."""

import warnings

import pytest
from torch import nn

from netslim.core.errors import NetslimWarning
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.end_warnings import warn_of_guessing, warn_of_lag, warn_of_training
from netslim.training.tasks.task import CLASSIFICATION

SPARSE = TrainConfig(sparsity_regularization=True, s=1.0)
STEPS = 100


def test_a_penalty_under_which_nothing_was_learnt_is_said() -> None:
    with pytest.warns(
        NetslimWarning, match=r"^under the penalty of `s=1\.0` the network has learnt nothing: 12\.00 % on"
    ):
        warn_of_guessing(SPARSE, CLASSIFICATION, 0.12, 10, STEPS)
    with warnings.catch_warnings(action="error"):
        warn_of_guessing(SPARSE, CLASSIFICATION, 0.16, 10, STEPS)
        warn_of_guessing(SPARSE, CLASSIFICATION, 0.12, 10, 0)  # so few steps move no scale
        warn_of_guessing(SPARSE, CLASSIFICATION, 0.63, 2, STEPS)
        warn_of_guessing(SPARSE, CLASSIFICATION, 0.12, None, STEPS)
        warn_of_guessing(TrainConfig(), CLASSIFICATION, 0.12, 10, STEPS)


def test_statistics_that_lag_behind_are_said() -> None:
    usual, slow = nn.BatchNorm2d(2), nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm1d(2, momentum=0.01))
    said = r"^28 batches are too few for BatchNorms' running statistics, which take 10 % of each: they lag behind"
    with pytest.warns(NetslimWarning, match=said + r" .*; type more `epochs` or a smaller `batch_size`$"):
        warn_of_lag(usual, 28)
    with pytest.warns(NetslimWarning, match=r"^1 batch is too few "):
        warn_of_lag(usual, 1)
    with pytest.warns(NetslimWarning, match=r"take 1 % of each"):
        warn_of_lag(slow, 298)
    with warnings.catch_warnings(action="error"):
        warn_of_lag(usual, 29)
        warn_of_lag(slow, 299)
        for without in (nn.ReLU(), nn.BatchNorm2d(2, momentum=None), nn.BatchNorm2d(2, track_running_stats=False)):
            warn_of_lag(without, 1)


def test_parts_of_a_batch_count_each() -> None:
    parts = TrainConfig(accumulate=2)
    with pytest.warns(NetslimWarning, match=r"^20 batches are "):
        warn_of_training(parts, nn.BatchNorm2d(2), CLASSIFICATION, 0.5, 10, 10)
