"""`netslim export --int8 --qat`."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.cost import Latency
from netslim.deploy import Exported
from netslim.deploy.int8.request import NothingInInt8Error, Quantization, Quantized
from netslim.stages.export import qat
from netslim.stages.export import run as export
from netslim.stages.export.config import ExportConfig
from netslim.stages.train import run as train
from netslim.stages.train.config import TrainConfig

WORTH = {"as it was": 0.9, "fine-tuned": 0.89}  # judged in float


class Writer:
    """Stands for `netslim.export`: a number of layers in float for one call after the other; below 0, it can't."""

    def __init__(self, layers_in_float: list[int]) -> None:
        self.left = layers_in_float
        self.allowed: list[float] = []

    def __call__(self, model: nn.Module, path: Path, numbers: Quantization) -> Exported:
        self.allowed.append(round(numbers.allowed, 6))
        count, time = self.left.pop(0), Latency(median=1.0, lower_quartile=1.0, upper_quartile=1.0, runs=1)
        if count < 0:
            raise NothingInInt8Error("a single layer in int8 is too much")
        path.write_bytes(model.name.encode())
        int8 = Quantized(
            content=b"", written=True, run_time="ONNX Runtime", integers="U8S8", layers=6, layers_int8=6 - count,
            layers_float=("x",) * count,
            judged_float=0.5, judged_int8=0.5, test_float=None, test_int8=None, agreement=None, bytes_float=9,
            bytes_int8=3, time_float=time, time_int8=time, calibrated_on=1,
        )  # fmt: skip
        return Exported(path=path, difference=0, choice=None, params=1, int8=int8)


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Writer) -> Exported:
    model = nn.Identity()
    model.name = "as it was"
    student = copy.deepcopy(model)
    student.name = "fine-tuned"
    monkeypatch.setattr(qat, "_student", lambda *_: student)
    quantization = Quantization(images=[torch.zeros(1)], judge=lambda run: WORTH[run.name], allowed=0.005)
    asked: Any = type("Asked", (), {"quantization": quantization})
    return qat.written_with_qat(model, tmp_path / "net.onnx", asked, ExportConfig(model="m.pth.tar", qat=1), write)


@pytest.mark.parametrize(
    ("counts", "who", "line"),
    [
        ([0], "as it was", "int8 alone loses no more than allowed: not fine-tuned"),
        ([3, 1], "fine-tuned", "fine-tuned with rounded numbers: in float stay 1 of 6 layers, not 3"),
        ([-1, 2], "fine-tuned", "fine-tuned with rounded numbers: in float stay 2 of 6 layers, not all"),
        ([2, 3], "as it was", "fine-tuning with rounded numbers did not help: the network is written as it was"),
        ([2, 2], "as it was", "fine-tuning with rounded numbers did not help: the network is written as it was"),
        ([2, -1], "as it was", "fine-tuning with rounded numbers did not help: the network is written as it was"),
    ],
)
def test_the_fine_tuned_network_is_taken_where_less_of_it_is_in_float(
    counts: list[int], who: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write = Writer(counts)
    found = written(tmp_path, monkeypatch, write)
    assert line in capsys.readouterr().out.replace("\n", " ")
    assert found.path == tmp_path / "net.onnx"
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [who.encode()]
    assert write.allowed == [0.005, -0.005][: len(write.allowed)]  # it has lost a point in float already
    assert found.int8 is not None
    assert found.int8.judged_float == (0.9 if who == "fine-tuned" else 0.5)


def test_nothing_is_written_where_neither_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.onnx").write_bytes(b"earlier")
    with pytest.raises(NothingInInt8Error):
        written(tmp_path, monkeypatch, Writer([-1, -1]))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"earlier"]


def test_it_is_for_int8(files: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="`qat=2`: this is for 8-bit integers: type `int8=True`, too"):
        export.run(ExportConfig(model=files[1], qat=2))


@pytest.mark.slow
def test_a_network_is_fine_tuned_and_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"dataset": "folder", "data_dir": folder, "depth": 11, "epochs": 1, "batch_size": 9, "device": "cpu"}
    train.run(TrainConfig(**given, precision="fp32", val_share=0.3, save=tmp_path / "trained"))
    usual, calls = export.export, []

    def harmful(*args: Any, **named: Any) -> Exported:
        found = usual(*args, **named)
        calls.append(found)
        assert found.int8 is not None
        return found if len(calls) > 1 else replace(found, int8=replace(found.int8, layers_float=("conv1",)))

    monkeypatch.setattr(export, "export", harmful)
    output = tmp_path / "net.onnx"
    config = ExportConfig(
        model=tmp_path / "trained" / "model_best.pth.tar", data_dir=folder, output=output, qat=1, int8_always=True,
        accuracy_drop=100, pad=1, selection="zeros", clamp=False, seconds=0.01,
    )  # fmt: skip
    export.run(config)
    assert "in float stay 0 of 14 layers, not 1" in capsys.readouterr().out.replace("\n", " ")
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(output).graph.node}
    assert len(calls) == 2
