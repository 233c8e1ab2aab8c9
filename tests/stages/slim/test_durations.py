"""Times as people write them."""

import pytest

from netslim.core.errors import ArgumentError
from netslim.stages.slim.durations import seconds_of, shown


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
