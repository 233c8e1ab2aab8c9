"""A network as a folder: both files carry hashes, and nothing else is taken for one."""

import json
from pathlib import Path

import pytest
import torch

from netslim.core.errors import CheckpointError
from netslim.core.safetensors_folder import CONFIG, WEIGHTS, is_folder, read_folder, write_folder

STATE = {"weight": torch.arange(6.0).view(2, 3), "count": torch.tensor(3)}
FACTS = {"target": "safetensors", "arch": {"name": "resnet", "arguments": {"depth": 11}}, "cfg": [1, 2]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A written folder."""
    write_folder(tmp_path, STATE, FACTS)
    return tmp_path


def test_a_folder_and_back_by_either_name(folder: Path) -> None:
    for path in (folder, folder / WEIGHTS):
        assert is_folder(path)
        found = read_folder(path)
        assert found.arch is not None
        assert found.arch.to_dict() == FACTS["arch"]
        assert found.cfg == [1, 2]
        assert all(torch.equal(found.state_dict[key], value) for key, value in STATE.items())
    assert not is_folder(folder / "nothing")


def test_a_changed_weight_or_configuration_is_refused(folder: Path) -> None:
    weights, config = (folder / WEIGHTS).read_bytes(), json.loads((folder / CONFIG).read_text())
    (folder / WEIGHTS).write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="is damaged"):
        read_folder(folder)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / CONFIG).write_text(json.dumps({**config, "cfg": [2, 2]}))
    with pytest.raises(CheckpointError, match="is damaged: it does not have the hash that was written in it"):
        read_folder(folder)


def test_weights_without_a_configuration(folder: Path) -> None:
    (folder / CONFIG).unlink()
    with pytest.raises(CheckpointError, match=r"config\.json is missing: it says how the network of model"):
        read_folder(folder / WEIGHTS)
