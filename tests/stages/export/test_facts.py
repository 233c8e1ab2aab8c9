"""What an exported file says of itself."""

import hashlib
from pathlib import Path

import torch

import netslim
from netslim.core.checkpoint import read_checkpoint
from netslim.stages.export.facts import export_facts


def test_the_file_that_it_was_made_from_is_named_with_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "net.pth.tar"
    model = netslim.create_model("resnet", depth=11, num_classes=10)
    small = netslim.apply(model, netslim.plan(model, torch.zeros(1, 3, 16, 16), percent=0.4, criterion="l1_norm"))
    netslim.save(path, small)
    facts = export_facts(small, read_checkpoint(path), path)
    assert facts["arch"]["name"] == "resnet"
    assert facts["plan"]["groups"]
    assert facts["provenance"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["provenance"]["parent"] == "net.pth.tar"
