"""Settings of an export."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.export.config import ExportConfig


def test_an_export_is_written_beside_the_checkpoint() -> None:
    onnx = ExportConfig(model=Path("run/net.pth.tar"))
    assert (onnx.target, onnx.output, onnx.batch_size) == ("onnx", None, 1)
    (use,) = onnx.writes()
    assert (use.path.parent, use.path.suffix, use.names) == (Path("run"), ".onnx", ())
    (folder,) = ExportConfig(model=Path("run/net.pth.tar"), target="eager").writes()
    assert (folder.path.parent, folder.path.suffix, folder.names) == (Path("run"), "", ("*",))
    (dotted,) = ExportConfig(model=Path("net.pth"), output=Path("v1.0"), target="eager").writes()
    assert dotted.names == ("*",)


def test_widths_are_multiples_of_one_at_least() -> None:
    with pytest.raises(UsageError, match=r"^`pad=0`: input should be greater than or equal to 1$"):
        ExportConfig.build({"model": "a", "pad": 0})


def test_what_is_for_int8_alone_is_told_without_it() -> None:
    given = {"model": Path("a"), "dataset": "digits", "metric_mode": "min", "arch": "a.py:Net"}
    said = "`dataset='digits'`; `metric_mode='min'`: it changes nothing without 8-bit integers; type `int8=True`, too"
    assert ExportConfig(**given).notes() == [said]
    assert not ExportConfig(**given, int8=True).notes()
    assert not ExportConfig(model=Path("a"), image_size=16).notes()
