"""What `netslim doctor` finds, as data."""

import json
from pathlib import Path

import pytest
import torch

from netslim.stages.doctor.findings import look


def test_what_is_found_is_plain_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = look(tmp_path)
    assert json.loads(json.dumps(found)) == found
    assert found["omp_num_threads"] == "3"
    assert found["load"] is None or found["load"] >= 0
    assert found["hardware"]["threads"] == torch.get_num_threads()
    assert found["own_images"] == ["folder"]
    assert found["broken"] == {}


def test_space_is_that_of_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    assert look(tmp_path / "not" / "made")["free"] > 0
    assert not (tmp_path / "not").exists()
