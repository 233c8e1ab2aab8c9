"""`netslim demo`, shortened, with few images: `make demo` runs it whole."""

from pathlib import Path

import pytest
import sklearn.datasets
from sklearn.utils import Bunch

from netslim.data import digits
from netslim.stages.demo import run as demo
from netslim.stages.demo.config import DemoConfig


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_five_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo, "DEPTH", 11)
    monkeypatch.setitem(demo.SHARED, "epochs", 1)
    monkeypatch.setitem(demo.SHARED, "batch_size", 64)
    whole = sklearn.datasets.load_digits()
    few = Bunch(images=whole.images[:320], target=whole.target[:320])
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: few)
    monkeypatch.setattr(digits, "_TEST_IMAGES", 64)
    found = demo.run(DemoConfig(save=tmp_path))
    phases = found["phases"]
    assert [phase["phase"] for phase in phases] == ["transfer", "fine-tune", "sparsity", "prune", "fine-tune pruned"]
    assert phases[3]["params"] == phases[4]["params"] < phases[0]["params"]
    assert all(Path(phase["file"]).stat().st_size == phase["bytes"] for phase in phases)
    line = f"kept {found['kept']:,} of {found['channels']:,} channels; picture: {tmp_path / 'demo.png'}"
    assert capsys.readouterr().out.splitlines()[-1] == line
    assert set(found["two_epochs"]) == {"transferred", "scratch"}
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "demo.png").stat().st_size > 1000
