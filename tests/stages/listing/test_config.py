"""Settings of `netslim list`."""

import pytest

from netslim.core.errors import UsageError
from netslim.stages.listing.config import ALL, KINDS, ListConfig


def test_every_kind_of_plug_in_can_be_listed() -> None:
    tasks = ("losses", "metrics", "optimizers")
    others = ("penalties", "sources", "strategies", "targets", "trackers", "schedules")
    assert ("models", "published", "criteria", "datasets", *tasks, *others) == ALL
    assert all(kind.names() for kind in KINDS.values())
    assert ListConfig().kind is None


def test_a_pattern_is_a_text() -> None:
    with pytest.raises(UsageError, match=r"^`pattern=50`: input should be a valid string$"):
        ListConfig.build({"kind": "models", "pattern": 50})
