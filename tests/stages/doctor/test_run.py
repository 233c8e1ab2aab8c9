"""`netslim doctor`."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from fresh_python import NETSLIM, FreshPython
from netslim.stages.doctor import run as doctor
from netslim.stages.doctor.config import DoctorConfig


def test_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = doctor.run(DoctorConfig(data_dir=tmp_path / "not" / "made"))
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert found["datasets"]["digits"]
    assert not found["datasets"]["cifar10"]
    assert found["free"] > 0
    assert not (tmp_path / "not").exists()
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "everything that the five steps need is there"
    assert "the first command with `dataset='cifar10'` downloads it there" in out


def test_a_missing_package_and_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(name: str) -> str:
        if name == "onnxruntime":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(doctor, "version", version)
    assert doctor.run(DoctorConfig())["extras"]["export"]["onnxruntime"] is None
    assert "missing: onnxruntime; type pip install 'netslim[export]'" in capsys.readouterr().out


def test_a_torchvision_of_another_torch(fresh_python: FreshPython, tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('no operator torchvision::nms\\nmore')")
    done = fresh_python(NETSLIM, "doctor", folder=tmp_path, path=[tmp_path])
    assert done.returncode == 0, done.stderr
    assert "can't be loaded (RuntimeError: no operator torchvision::nms): install it anew" in " ".join(
        done.stdout.split()
    )
    assert done.stdout.splitlines()[-1] == "broken: torchvision, timm"
