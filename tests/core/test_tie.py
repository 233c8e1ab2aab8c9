"""Rows that are one channel."""

import json

from netslim.core.tie import Tie


def test_a_plan_as_json_gives_ties_back() -> None:
    tie = Tie(dim=0, pieces=2, unit=3)
    assert Tie(*json.loads(json.dumps(list(tie)))) == tie
