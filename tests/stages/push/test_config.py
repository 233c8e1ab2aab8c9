"""Settings of `netslim push`."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.push.config import PushConfig


def test_where_to_must_be_said() -> None:
    with pytest.raises(UsageError, match="to"):
        PushConfig.build({"model": "x"})
    assert not PushConfig(model=Path("x"), to="me/x").yes
