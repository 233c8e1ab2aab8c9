"""Every stage has settings and a function that takes them."""

import inspect

import pytest

from netslim.core.config import StageConfig
from netslim.stages.stage import STAGES


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_has_settings_and_a_function_that_takes_them(name: str) -> None:
    stage = STAGES[name]
    settings = stage.settings()
    assert issubclass(settings, StageConfig)
    (parameter,) = inspect.signature(stage.load(stage.module).run).parameters.values()
    assert parameter.annotation in (settings, settings.__name__)
