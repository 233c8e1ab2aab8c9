"""What every metric keeps to."""

import pytest

from netslim.core.errors import UsageError
from netslim.training.metrics import METRICS


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_is_averaged_or_gathers_and_never_both(name: str) -> None:
    spec = METRICS.get(name)
    assert (spec.score is None) != (spec.gather is None)


def test_shares_are_better_the_higher_they_are() -> None:
    assert {name for name in METRICS.names() if not METRICS.get(name).is_share} == {"mean_absolute_error"}
    assert all(METRICS.get(name).higher_is_better for name in METRICS.names() if METRICS.get(name).is_share)


def test_a_metric_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"^unknown metric 'mean_iuo'; did you mean mean_iou"):
        METRICS.get("mean_iuo")
