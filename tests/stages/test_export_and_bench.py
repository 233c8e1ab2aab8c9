"""`netslim export` and `netslim bench` on files, as typed."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import netslim
from netslim.core.errors import CheckpointError, UsageError
from netslim.deploy.inference import Form
from netslim.deploy.peak_memory import peak_memory
from netslim.network import load
from netslim.stages.bench import run as bench
from netslim.stages.bench.config import BenchConfig
from netslim.stages.export import run as export
from netslim.stages.export.config import ExportConfig


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dense and a pruned VGG of few channels."""
    folder = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    cfg = [8, "M", 8, "M", 12, 12, "M", 16, 16, "M", 16, 16]
    dense = netslim.create_model("vgg", depth=11, num_classes=3, cfg=cfg)
    for module in dense.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight)
    small = netslim.apply(dense, netslim.plan(dense, torch.zeros(1, 3, 16, 16), percent=0.5))
    netslim.save(folder / "dense.pth.tar", dense)
    netslim.save(folder / "small.pth.tar", small)
    return folder / "dense.pth.tar", folder / "small.pth.tar"


def exported(model: Path, **given: Any) -> dict[str, Any]:
    return export.run(ExportConfig(model=model, **{"image_size": 16, "seconds": 0.01, **given}))


def test_export_writes_beside_the_checkpoint(files: tuple[Path, Path]) -> None:
    found = exported(files[1])
    assert found["file"] == str(files[1].with_name("small.onnx"))
    assert found["max_difference"] < 1e-5
    assert set(found["measured"]) >= {"zeros/1/nchw", "zeros/8/nchw"}
    assert exported(files[1], target="safetensors")["file"] == str(files[1].with_name("small-safetensors"))


def test_export_of_an_export(files: tuple[Path, Path], tmp_path: Path) -> None:
    """A safetensors folder is as good as the checkpoint."""
    exported(files[1], target="safetensors", output=tmp_path / "net")
    found = exported(tmp_path / "net", target="eager", output=tmp_path / "code", pad=8, layout="nchw", bounds=False)
    assert found["form"] == {"selection": "zeros", "multiple": 8, "layout": "nchw", "bounds": False}
    assert found["measured"] == {}


def test_export_at_another_image_size(files: tuple[Path, Path], tmp_path: Path) -> None:
    exported(files[1], image_size=24, output=tmp_path / "net.onnx", pad=1)
    with pytest.raises(UsageError, match=r"--image-size 16: a file is for inputs of shape \(3, 24, 24\)"):
        bench.run(BenchConfig(files=[tmp_path / "net.onnx"], image_size=16, engines="onnxruntime"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"selection": "none"}, "--selection none: type gather or zeros, or leave it out: the faster"),
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


def measured(files: list[Path], save: Path, **given: Any) -> dict[str, Any]:
    plain = {"image_size": 16, "batch_sizes": "1,3", "seconds": 0.01, "memory": False, "save": save}
    return bench.run(BenchConfig(files=files, **{**plain, **given}))


def test_bench_compares_with_the_first_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    exported(files[1], output=tmp_path / "small.onnx", pad=1)
    exported(files[1], target="eager", output=tmp_path / "code", pad=1, layout="nchw")
    rows = measured([*files, tmp_path / "small.onnx", tmp_path / "code"], tmp_path)["rows"]
    names = [file.name for file in files]
    assert [(Path(r["file"]).name, r["engine"], r["batch_size"]) for r in rows] == [
        *((name, "eager", batch) for batch in (1, 3) for name in (*names, "code")),
        *(
            (name, "onnxruntime", batch)
            for batch in (1, 3)
            for name in ("dense.pth.tar", "small.pth.tar", "small.onnx")
        ),
    ]
    macs = [netslim.measure(load(file), torch.zeros(1, 3, 16, 16)).macs for file in files]
    for dense, *others in (rows[0:3], rows[3:6], rows[6:9], rows[9:12]):
        assert (dense["speed_up"], dense["mac_ratio"], dense["share"]) == (1, 1, 1)
        for row in others:
            assert row["macs"] == macs[1]
            assert row["mac_ratio"] == macs[0] / macs[1]
            assert row["speed_up"] == dense["median_seconds"] / row["median_seconds"]
            assert row["share"] == row["speed_up"] / row["mac_ratio"]
            assert row["images_per_second"] == row["batch_size"] / row["median_seconds"]
    with (tmp_path / "bench.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(rows)
    assert table[0]["torch"] == torch.__version__.split("+")[0] or table[0]["torch"] == torch.__version__
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"engines": "tensorrt"}, "--engines tensorrt: type some of eager,compiled,onnxruntime"),
        ({"batch_sizes": "1,x"}, "--batch-sizes 1,x: type numbers from 1, with commas between"),
        ({"threads": "0"}, "--threads 0: type numbers from 1, with commas between"),
    ],
)
def test_bench_refuses(files: tuple[Path, Path], tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        measured([files[0]], tmp_path, **given)
    assert str(caught.value) == message


def test_bench_of_what_no_engine_runs(files: tuple[Path, Path], tmp_path: Path) -> None:
    exported(files[1], output=tmp_path / "small.onnx", pad=1)
    with pytest.raises(UsageError, match="--engines eager: none of them runs any of these files"):
        measured([tmp_path / "small.onnx"], tmp_path, engines="eager", image_size=None)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="ONNX Runtime can't read the model"):
        measured([tmp_path / "broken.onnx"], tmp_path)
    with pytest.raises(CheckpointError, match="no such file"):
        measured([tmp_path / "gone.onnx"], tmp_path)


def test_memory_grows_with_the_batch(files: tuple[Path, Path]) -> None:
    """The first layer's 8 channels of 32 images take 16 MB, and ReLU as much while it runs."""
    assert peak_memory(files[0], load, "eager", (32, 3, 128, 128), Form(), 1) > 32 * 8 * 128 * 128 * 4


def test_the_table_is_data_too(files: tuple[Path, Path], tmp_path: Path) -> None:
    found = measured([files[1]], tmp_path, engines="eager", batch_sizes="1")
    assert json.loads(json.dumps(found))["rows"][0]["form"].count("/") == 2
