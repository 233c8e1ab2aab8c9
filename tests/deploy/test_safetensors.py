"""Target safetensors: the trained network itself."""

import json
from pathlib import Path

import pytest
import torch
from exported_networks import NETWORKS, exported

import netslim
from netslim.core.errors import CheckpointError


@pytest.mark.parametrize("name", ["resnet", "coupled", "vgg", "densenet", "resnet18"])
def test_safetensors_is_the_trained_network(name: str, tmp_path: Path) -> None:
    model = NETWORKS[name]()
    assert exported(model, tmp_path / "net", "safetensors").difference == 0
    for path in (tmp_path / "net", tmp_path / "net" / "model.safetensors"):
        again = netslim.load(path)
        assert type(again) is type(model)
        assert again.plan == model.plan
        assert all(torch.equal(value, again.state_dict()[key]) for key, value in model.state_dict().items())


def test_damaged_folders(tmp_path: Path) -> None:
    exported(NETWORKS["resnet"](), tmp_path / "net", "safetensors")
    weights, config = tmp_path / "net/model.safetensors", tmp_path / "net/config.json"
    content, facts = weights.read_bytes(), config.read_text()
    weights.write_bytes(content[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged: its hash is not the one"):
        netslim.load(tmp_path / "net")
    config.write_text(json.dumps({key: value for key, value in json.loads(facts).items() if key != "sha256"}))
    with pytest.raises(CheckpointError, match="is damaged or no safetensors file"):
        netslim.load(tmp_path / "net")
    weights.write_bytes(content)
    assert netslim.load(tmp_path / "net").plan, "files of earlier versions have no hash"
    config.write_text(facts.replace('"plan": {', '"plan": {"more": 1,'))
    with pytest.raises(CheckpointError, match=r"config\.json is damaged: it does not have the hash that was written"):
        netslim.load(tmp_path / "net")
    config.write_text(facts)
    weights.unlink()
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        netslim.load(tmp_path / "net")
    weights.write_bytes(content)
    config.write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is damaged or no JSON"):
        netslim.load(tmp_path / "net")
    config.write_text(facts.replace('"target": "safetensors"', '"target": "eager"'))
    with pytest.raises(CheckpointError, match=r"target eager; netslim\.load opens those of target safetensors"):
        netslim.load(tmp_path / "net")
    config.unlink()
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        netslim.load(weights)
