"""Settings of the demo."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.demo.config import DemoConfig


def test_the_demo_needs_nothing_and_has_its_folder_for_itself() -> None:
    config = DemoConfig()
    assert [(use.path, use.names) for use in config.writes()] == [(Path("runs/demo"), ("*",))]
    assert config.fixed() == {"seed": 1}


def test_a_seed_is_a_whole_number() -> None:
    with pytest.raises(UsageError, match=r"^`seed='one'`: input should be a valid integer"):
        DemoConfig.build({"seed": "one"})
