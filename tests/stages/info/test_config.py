"""Settings of `netslim info`."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.info.config import InfoConfig


def test_a_file_is_what_there_is_to_say() -> None:
    config = InfoConfig(model=Path("a"))
    assert [use.path for use in config.reads()] == [Path("a")]
    with pytest.raises(UsageError) as caught:
        InfoConfig.build({"modle": "a"})
    assert (
        str(caught.value)
        == "unknown setting 'modle'; did you mean model? (known: arch, arch_args, model); `model` is required"
    )
