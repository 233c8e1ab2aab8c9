"""Runs side by side that stop where they are told to."""

from collections.abc import Callable
from typing import Any

import pytest

from netslim.reconstruction.lockstep import Lane


def test_runs_go_on_when_asked_and_with_what_they_are_given() -> None:
    seen = []

    def work(stop: Callable[[str], Any]) -> None:
        seen.append(stop("first"))
        seen.append(stop("second"))

    lane = Lane(work)
    assert seen == []
    assert lane.next() == "first"
    assert seen == []
    assert lane.next(1) == "second"
    assert seen == [1]
    assert lane.next(2) is None
    assert seen == [1, 2]
    assert lane.next() is None


def test_what_a_run_raises_is_raised_where_it_is_waited_for() -> None:
    def work(stop: Callable[[str], Any]) -> None:
        stop("first")
        raise ValueError("no")

    lane = Lane(work)
    lane.next()
    with pytest.raises(ValueError, match="no"):
        lane.next()
    assert lane.next() is None


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_run_can_be_ended_where_it_stands(steps: int) -> None:
    left = []

    def work(stop: Callable[[str], Any]) -> None:
        try:
            stop("first")
        finally:
            left.append(True)

    lane = Lane(work)
    for _ in range(steps):
        lane.next()
    lane.end()
    lane.end()
    assert left == [True] * (steps > 0)
