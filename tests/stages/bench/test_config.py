"""Settings of a comparison."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.bench.config import BenchConfig


def test_every_file_is_read_and_one_folder_is_written() -> None:
    config = BenchConfig(files=[Path("a"), Path("b")])
    assert [use.path for use in config.reads()] == [Path("a"), Path("b")]
    assert [(use.path, use.names) for use in config.writes()] == [(Path("bench"), ("bench.*",))]
    assert (config.engines, config.batch_sizes, config.trust) == ("eager,onnxruntime", "1,128", False)


def test_no_files_and_no_time_are_refused_together() -> None:
    with pytest.raises(UsageError) as caught:
        BenchConfig.build({"seconds": 0})
    assert str(caught.value) == "`files` is required; `seconds=0`: input should be greater than 0"
