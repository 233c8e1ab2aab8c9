"""Every stage has a verb, and every verb a line of help."""

import pytest

from netslim.cli.verbs import TOGETHER, VERBS
from netslim.stages.stage import STAGES


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_says_what_its_stage_does(verb: str) -> None:
    record = VERBS[verb]
    assert record.stage is STAGES[verb]
    assert set(record.positional) <= set(record.stage.settings().model_fields)
    assert record.help.endswith(".")


def test_each_stage_has_a_verb() -> None:
    assert VERBS.keys() == STAGES.keys()
    assert set(TOGETHER) <= set(VERBS)
