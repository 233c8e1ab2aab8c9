"""Every verb has settings and something that runs it."""

import inspect

import pytest

from netslim.cli.verbs import TOGETHER, VERBS
from netslim.core.config import StageConfig


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_settings_and_a_function_that_takes_them(verb: str) -> None:
    record = VERBS[verb]
    settings = record.settings()
    assert issubclass(settings, StageConfig)
    assert set(record.positional) <= set(settings.model_fields)
    (parameter,) = inspect.signature(record.stage()).parameters.values()
    assert parameter.annotation in (settings, settings.__name__)
    assert record.help.endswith(".")


def test_verbs_of_several_processes_exist() -> None:
    assert set(TOGETHER) <= set(VERBS)
