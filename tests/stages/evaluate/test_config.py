"""Settings of an evaluation."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.evaluate.config import EvaluateConfig


def test_the_test_images_of_the_files_own_data_set_judge() -> None:
    config = EvaluateConfig(model=Path("a"))
    assert (config.split, config.dataset, config.test_batch_size) == ("test", None, 256)
    assert config.writes() == []


def test_a_batch_has_an_image() -> None:
    with pytest.raises(UsageError, match=r"^`test_batch_size=0`: input should be greater than or equal to 1$"):
        EvaluateConfig.build({"model": "a", "test_batch_size": 0})
