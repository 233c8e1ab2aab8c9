"""`netslim bench`."""

import csv
import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx_files import classifier
from rich.status import Status
from torch import Tensor, nn

import netslim
from netslim.core.errors import CheckpointError, UsageError
from netslim.deploy.inference import Form
from netslim.deploy.peak_memory import peak_memory
from netslim.network import load
from netslim.stages.bench import run as bench
from netslim.stages.bench.config import BenchConfig
from netslim.stages.export import run as export
from netslim.stages.export.config import ExportConfig
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig


def exported(model: Path, **given: Any) -> dict[str, Any]:
    return export.run(ExportConfig(model=model, **{"image_size": 16, "seconds": 0.01, **given}))


def measured(files: list[Path], save: Path, **given: Any) -> dict[str, Any]:
    plain = {"image_size": 16, "batch_sizes": "1,3", "seconds": 0.01, "memory": False, "save": save}
    return bench.run(BenchConfig(files=files, **{**plain, **given}))


def test_bench_compares_with_the_first_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    exported(files[1], output=tmp_path / "small.onnx", pad=1)
    exported(files[1], target="eager", output=tmp_path / "code", pad=1, layout="nchw")
    rows = measured([*files, tmp_path / "small.onnx", tmp_path / "code"], tmp_path, trust=True)["rows"]
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
        (
            {"engines": "tensorrt"},
            "`engines='tensorrt'`: type some of eager,compiled,onnxruntime,openvino,executorch,litert",
        ),
        ({"batch_sizes": "1,x"}, "`batch_sizes='1,x'`: type numbers from 1 to 1000000, with commas between"),
        ({"threads": "0"}, "`threads='0'`: type numbers from 1 to 1024, with commas between"),
        ({"threads": "100000"}, "`threads='100000'`: type numbers from 1 to 1024, with commas between"),
    ],
)
def test_bench_refuses(files: tuple[Path, Path], tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        measured([files[0]], tmp_path, **given)
    assert str(caught.value) == message


def test_lists_may_have_spaces() -> None:
    config = BenchConfig(files=["a.onnx"], engines="eager, onnxruntime", batch_sizes="1, 8", threads="1, 2")
    assert bench.check(config) == (["eager", "onnxruntime"], [1, 8], [1, 2])


def test_where_the_table_is_the_picture_is(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What finds a table measures nothing again, and so draws nothing."""

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "draw_speed", cut_off)
    with pytest.raises(KeyboardInterrupt):
        measured([*files], tmp_path, engines="eager", batch_sizes="1")
    assert not (tmp_path / "bench.csv").exists()


def test_bench_of_what_no_engine_runs(files: tuple[Path, Path], tmp_path: Path) -> None:
    exported(files[1], output=tmp_path / "small.onnx", pad=1)
    with pytest.raises(UsageError, match=r"runs any of these files; type `engines='onnxruntime,openvino'`$"):
        measured([tmp_path / "small.onnx"], tmp_path, engines="eager", image_size=None)
    with pytest.raises(UsageError, match=r"`engines='litert'`: none of them runs any of these files; type `engines="):
        measured([files[1]], tmp_path, engines="litert")  # whether or not its package is there
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="ONNX Runtime can't read the model"):
        measured([tmp_path / "broken.onnx"], tmp_path)
    with pytest.raises(CheckpointError, match="no such file"):
        measured([tmp_path / "gone.onnx"], tmp_path)


def test_onnx_files_of_others(tmp_path: Path) -> None:
    """The MACs are those of the graph; a file for one batch size is timed at that."""
    dense, model = classifier(tmp_path / "net.onnx"), onnx.load(tmp_path / "net.onnx")
    prune.run(PruneConfig(model=dense, target_macs="0.5", save=tmp_path / "small"))
    files = [dense, tmp_path / "small" / "pruned.onnx"]
    rows = measured(files, tmp_path, engines="onnxruntime", batch_sizes="2", image_size=None)["rows"]
    assert rows[0]["macs"] == 8 * 8 * 9 * (3 * 16 + 16 * 12) + 12 * 3
    assert 1.9 < rows[1]["mac_ratio"] < 2.5
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 3
    onnx.save(model, tmp_path / "three.onnx")
    with pytest.raises(UsageError) as caught:
        measured([tmp_path / "three.onnx"], tmp_path, engines="onnxruntime", batch_sizes="3,4", image_size=None)
    assert str(caught.value) == "an ONNX file takes 3 images per call, not 4: type `batch_sizes=3`"
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, tmp_path / "three.onnx")
    with pytest.raises(CheckpointError, match="ONNX Runtime can't read the model"):
        measured([tmp_path / "three.onnx"], tmp_path, engines="onnxruntime", batch_sizes="3", image_size=None)


class Two(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def test_an_exported_network_of_several_inputs(tmp_path: Path) -> None:
    netslim.export(Two().eval(), (torch.ones(2, 3), torch.ones(2, 3)), tmp_path / "two", "eager")
    said = "two does not say the shape of one input: it may take several, which are not timed here: in Python netslim"
    with pytest.raises(UsageError, match=said):
        measured([tmp_path / "two"], tmp_path, trust=True)


def test_energy_is_said_where_it_is_counted(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured([files[1]], tmp_path, engines="eager", batch_sizes="2")
    assert "mJ/image" not in capsys.readouterr().out
    monkeypatch.setattr(bench, "energy_per_call", lambda call, seconds: 0.5)
    (row,) = measured([files[1]], tmp_path, engines="eager", batch_sizes="2")["rows"]
    assert row["joules_per_image"] == 0.25
    said = capsys.readouterr().out
    assert "mJ/image" in said
    assert "250.00" in said


def test_what_is_waited_for_is_said(files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Status, "update", lambda self, text: said.append(text))
    measured([*files], tmp_path, engines="eager,onnxruntime", batch_sizes="1", threads="1")
    assert said == [
        f"{turn}: {what}"
        for turn in ("1 of 2: eager, 1 thread, batch 1", "2 of 2: onnxruntime, 1 thread, batch 1")
        for what in (*(f"the fastest form of {file}" for file in files), "times, in turns")
    ]


@pytest.mark.slow
def test_memory_grows_with_the_batch(files: tuple[Path, Path]) -> None:
    """The first layer's 8 channels of 32 images take 16 MB, and ReLU as much while it runs."""
    assert peak_memory(files[0], load, "eager", (32, 3, 128, 128), Form(), 1) > 32 * 8 * 128 * 128 * 4


def test_the_table_is_data_too(files: tuple[Path, Path], tmp_path: Path) -> None:
    found = measured([files[1]], tmp_path, engines="eager", batch_sizes="1")
    assert json.loads(json.dumps(found))["rows"][0]["form"].count("/") == 2
