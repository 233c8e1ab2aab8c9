"""`netslim export`."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx_files import classifier

from netslim.core.errors import CheckpointError, UsageError
from netslim.deploy.formats.onnx_hash import with_facts
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


def test_export_of_an_onnx_file(tmp_path: Path) -> None:
    """What torch reads from the file of others, exported as another kind; its batch size stays free."""
    model = classifier(tmp_path / "net.onnx")
    found = export.run(ExportConfig(model=model, target="pt2", seconds=0.01))
    assert found["file"] == str(tmp_path / "net.pt2")
    assert found["max_difference"] < 1e-5
    found = export.run(ExportConfig(model=tmp_path / "net.onnx", output=tmp_path / "half.onnx", half=True, pad=1))
    assert found["bytes"] < 0.7 * model.stat().st_size
    with pytest.raises(
        UsageError, match="`target='safetensors'`: it is for networks that netslim trains; type another"
    ):
        export.run(ExportConfig(model=model, target="safetensors"))
    with pytest.raises(UsageError, match="`image_size=16`: an ONNX file says by itself what it is; leave it out"):
        exported(model)
    fixed = onnx.load(model)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(fixed, tmp_path / "one.onnx")
    with pytest.raises(
        UsageError, match=r"one\.onnx is for one batch size, or takes several inputs: it can't be exported"
    ):
        export.run(ExportConfig(model=tmp_path / "one.onnx", target="pt2"))


@pytest.mark.slow
def test_int8_of_an_onnx_file(tmp_path: Path) -> None:
    """Of the images of a data set that is named, since the file of others names none."""
    model = classifier(tmp_path / "net.onnx", classes=10, size=16, channels=1)
    settings = {"pad": 1, "int8_always": True, "seconds": 0.01, "accuracy_drop": 100, "calibrate": 16}
    found = export.run(ExportConfig(model=model, dataset="digits", output=tmp_path / "int8.onnx", **settings))
    assert found["int8"]["written"]
    assert found["int8"]["layers_int8"] > 0
    with pytest.raises(UsageError, match=r"net\.onnx names no data set"):
        export.run(ExportConfig(model=model, output=tmp_path / "int8.onnx", **settings))


def test_export_of_an_export(files: tuple[Path, Path], tmp_path: Path) -> None:
    """A safetensors folder is as good as the checkpoint."""
    exported(files[1], target="safetensors", output=tmp_path / "net")
    found = exported(tmp_path / "net", target="eager", output=tmp_path / "code", pad=8, layout="nchw", clamp=False)
    assert found["form"] == {"selection": "zeros", "multiple": 8, "layout": "nchw", "clamp": False}
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
        ({"target": "litert", "int8": True}, "`target='litert'`: it has no int8; type `target='onnx'` or"),
        ({"target": "eager", "half": True}, "`target='eager'`: it has no 16-bit weights; type `target='onnx'`"),
        ({"target": "safetensors", "pad": 8}, "`pad=8`: target safetensors holds the network as it was trained"),
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


def test_it_says_how_images_are_normalised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, line = classifier(tmp_path / "net.onnx"), "it takes images of 0 to 1, normalised by "
    export.run(ExportConfig(model=path, target="pt2", seconds=0.01))
    assert line not in capsys.readouterr().out
    path.write_bytes(with_facts(onnx.load(path), {"dataset": {"mean": [0.5] * 3, "std": [0.25] * 3}}))
    export.run(ExportConfig(model=path, target="pt2", seconds=0.01))
    assert f"{line}mean 0.5, 0.5, 0.5, std 0.25, 0.25, 0.25\n" in capsys.readouterr().out
