"""`netslim export`."""

from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import CheckpointError, UsageError
from netslim.stages.bench import run as bench
from netslim.stages.bench.config import BenchConfig
from netslim.stages.export import run as export
from netslim.stages.export.config import ExportConfig


def exported(model: Path, **given: Any) -> dict[str, Any]:
    return export.run(ExportConfig(model=model, **{"image_size": 16, "seconds": 0.01, **given}))


def test_export_writes_beside_the_checkpoint(files: tuple[Path, Path]) -> None:
    found = exported(files[1])
    assert found["file"] == str(files[1].with_name("small.onnx"))
    assert found["max_difference"] < 1e-5
    assert set(found["measured"]) == {"zeros/1/nchw/norms", "zeros/8/nchw/norms"}
    assert exported(files[1], target="safetensors")["file"] == str(files[1].with_name("small-safetensors"))


def test_forms_are_remembered(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("netslim.deploy.form_memory._is_unsteady", lambda choice: False)
    said = "forms as they were measured on this machine before; more `seconds` measure them again"
    first = exported(files[1], output=tmp_path / "one.onnx")
    assert said not in capsys.readouterr().out
    assert exported(files[1], output=tmp_path / "two.onnx")["measured"] == first["measured"]
    assert said in capsys.readouterr().out
    exported(files[1], output=tmp_path / "three.onnx", seconds=0.02)
    assert said not in capsys.readouterr().out


def test_export_of_an_export(files: tuple[Path, Path], tmp_path: Path) -> None:
    """A safetensors folder is as good as the checkpoint."""
    exported(files[1], target="safetensors", output=tmp_path / "net")
    found = exported(tmp_path / "net", target="eager", output=tmp_path / "code", pad=8, layout="nchw", bounds=False)
    assert found["form"] == {"selection": "zeros", "multiple": 8, "layout": "nchw", "bounds": False}
    assert found["measured"] == {}


def test_export_at_another_image_size(files: tuple[Path, Path], tmp_path: Path) -> None:
    exported(files[1], image_size=24, output=tmp_path / "net.onnx", pad=1)
    with pytest.raises(UsageError, match=r"`image_size=16`: a file is for inputs of shape \(3, 24, 24\)"):
        bench.run(BenchConfig(files=[tmp_path / "net.onnx"], image_size=16, engines="onnxruntime"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"selection": "none"}, "`selection='none'`: type gather or zeros, or leave it out: zeros"),
        ({"target": "tensorrt"}, "unknown target 'tensorrt'"),
        ({"layout": "nwhc"}, "unknown layout 'nwhc'"),
    ],
)
def test_export_refuses(files: tuple[Path, Path], tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        exported(files[1], output=tmp_path / "net.onnx", **given)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_export_of_what_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "notes.pth.tar").write_text("notes")
    with pytest.raises(CheckpointError, match="is damaged or no torch checkpoint"):
        exported(tmp_path / "notes.pth.tar")
