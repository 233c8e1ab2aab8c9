"""What can be typed as a budget."""

import pytest

from netslim.core.errors import UsageError
from netslim.pruning.budget.request import requested

SHARES = "what should remain, as a share of the unpruned network's between 0 and 1 (0.5), or as "
COUNT, TIME = SHARES + "a number with K, M or G (120M)", SHARES + "a time with us, ms or s (3ms)"


@pytest.mark.parametrize(
    ("kind", "typed", "value", "relative"),
    [
        ("macs", "0.5", 0.5, True),
        ("macs", 0.5, 0.5, True),
        ("macs", ".25", 0.25, True),
        ("macs", "5e-1", 0.5, True),
        ("macs", "120M", 120e6, False),
        ("macs", " 1.2 g ", 1.2e9, False),
        ("params", "1.2m", 1.2e6, False),
        ("params", "870k", 870e3, False),
        ("params", 1_200_000, 1.2e6, False),
        ("params", "1200000", 1.2e6, False),
        ("params", "0.5M", 5e5, False),
        ("latency", "3ms", 3e-3, False),
        ("latency", "800us", 8e-4, False),
        ("latency", "0.8 µs", 8e-7, False),
        ("latency", "0.01s", 0.01, False),
        ("latency", "0.6", 0.6, True),
    ],
)
def test_what_can_be_typed(kind: str, typed: float | str, value: float, relative: bool) -> None:
    request = requested(None, {kind: typed})
    assert (request.kind, request.relative) == (kind, relative)
    assert request.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "typed", "message"),
    [
        ("macs", "2", f"{COUNT}; for 2 % type 0.02"),
        ("macs", 50, f"{COUNT}; for 50 % type 0.5"),
        ("macs", "12Q", COUNT),
        ("macs", "1", COUNT),
        ("macs", "100", COUNT),
        ("macs", "0", COUNT),
        ("macs", "-0.5", COUNT),
        ("macs", "3ms", COUNT),
        ("macs", "", COUNT),
        ("macs", "nan", COUNT),
        ("macs", "1e999", COUNT),
        ("params", "50%", COUNT),
        ("latency", "3", f"{TIME}; for 3 % type 0.03"),
        ("latency", "500", TIME),
        ("latency", "3M", TIME),
        ("latency", "3 minutes", TIME),
    ],
)
def test_what_can_not_be_typed(kind: str, typed: float | str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        requested(None, {kind: typed})
    given = typed if isinstance(typed, int) or typed.isdecimal() else repr(typed)
    assert str(caught.value) == f"`target_{kind}={given}`: {message}"
