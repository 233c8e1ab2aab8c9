"""Settings of slim, and of its steps."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.slim.config import SlimConfig, given


def test_names_with_a_dot_are_settings_of_steps() -> None:
    config = SlimConfig.build({"dataset": "digits", "prune.percent": 0.4, "save": "r"})
    assert (config.dataset, config.save, dict(config.steps)) == ("digits", Path("r"), {"prune.percent": 0.4})
    assert dict(SlimConfig.build({}).steps) == {}
    with pytest.raises(
        UsageError, match=r"^epochs is a setting of single steps: type --set STEP\.epochs=VALUE \(STEP is"
    ):
        SlimConfig.build({"dataset": "digits", "epochs": 3})


def test_a_recipe_is_no_file_of_settings() -> None:
    with pytest.raises(UsageError, match=r"^a recipe is no file of settings: type netslim slim FILE\.toml$"):
        SlimConfig.build({"step": [{"verb": "train"}]})


def test_what_was_given() -> None:
    assert given(SlimConfig(dataset="digits", workers=0), ("dataset", "workers", "seed")) == {"dataset": "digits"}
