"""Times as people write them."""

import pytest

from netslim.core.errors import ArgumentError, UsageError
from netslim.stages.slim.durations import job_minutes, seconds_of, shown, typed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("10min", 600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("0.5h", 1800),
        ("overnight", 28800),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "ten minutes", "0m", "-1h", "10m1h", "9999h", "nan"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ArgumentError, match="a time such as 90s, 10m, 1h30m or overnight"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 s"), (45.2, "45 s"), (90, "2 min"), (3000, "50 min"), (7200, "2 h"), (9000, "2 h 30 min")],
)
def test_how_they_are_shown(seconds: float, text: str) -> None:
    assert shown(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "1m"), (61, "2m"), (7139, "119m"), (7200, "3h")])
def test_a_time_that_is_typed_is_not_shorter(seconds: float, text: str) -> None:
    assert typed(seconds) == text
    assert seconds_of(text) > seconds


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("4h", 240), ("90", 90), ("90:30", 90), ("1:30:00", 90), ("2-1", 2940), ("1-12:30", 2190), ("10s", 1)],
)
def test_times_of_jobs_as_slurm_writes_them_or_netslim(text: str, minutes: int) -> None:
    assert job_minutes(text) == minutes


def test_a_time_of_a_job_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"`slurm=\['time=4x'\]`: a time such as 4h, 90m or 1-12:00:00"):
        job_minutes("4x")
