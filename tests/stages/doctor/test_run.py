"""`netslim doctor`."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from fresh_python import NETSLIM, FreshPython
from netslim.stages.doctor import findings
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

    monkeypatch.setattr(findings, "version", version)
    assert doctor.run(DoctorConfig())["extras"]["export"]["onnxruntime"] is None
    assert "missing: onnxruntime; type pip install 'netslim[export]'" in capsys.readouterr().out


def machine(threads: int, omp: str | None, load: float | None) -> str:
    hardware = {
        "cpu": "x",
        "instructions": "y",
        "threads": threads,
        "cores": 4,
        "gpu": "none",
        "built_for": "CUDA 12.8",
    }
    found = {"hardware": hardware, "omp_num_threads": omp, "load": load, "compiler": None}
    return "\n".join(" ".join(line) for line in doctor._machine(found))


def test_how_many_threads_and_how_busy() -> None:
    assert "4 of 4 cores on a shared machine fewer are often faster: type OMP_NUM_THREADS=1" in machine(4, None, 0.1)
    assert "1 of 4 cores OMP_NUM_THREADS=1; another number, or unset it: all cores" in machine(1, "1", 0.1)
    assert "2 of 4 cores OMP_NUM_THREADS=N: another" in machine(2, None, 0.1)
    assert "0.1 of 4 cores in the last minute \n" in machine(4, None, 0.1)
    assert "3.0 of 4 cores in the last minute others work here: times that are measured" in machine(4, None, 3.0)
    assert "last minute" not in machine(4, None, None)


def test_it_says_what_takes_seconds_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def look(_: Path | None) -> None:
        raise InterruptedError

    monkeypatch.setattr(findings, "look", look)
    with pytest.raises(InterruptedError):
        doctor.run(DoctorConfig())
    assert capsys.readouterr().out.startswith("loading torch, torchvision and timm")


def test_nothing_of_torch_is_loaded_with_the_verb() -> None:
    code = "import sys, netslim.stages.doctor.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_torchvision_of_another_torch(fresh_python: FreshPython, tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('no operator torchvision::nms\\nmore')")
    done = fresh_python(NETSLIM, "doctor", folder=tmp_path, path=[tmp_path])
    assert done.returncode == 0, done.stderr
    assert "can't be loaded (RuntimeError: no operator torchvision::nms): install it anew" in " ".join(
        done.stdout.split()
    )
    assert done.stdout.splitlines()[-1] == "broken: torchvision, timm"
