"""torch's exported programs, read without trust."""

import io
import json
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from netslim.core.errors import CheckpointError
from netslim.deploy.formats.pt2_archive import HASH, load_program, seal

IMAGES = torch.randn(2, 3, 4, 4)
MODEL = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def archive() -> bytes:
    buffer = io.BytesIO()
    program = torch.export.export(MODEL, (IMAGES,))
    torch.export.save(program, buffer, extra_files={"netslim.json": json.dumps({"macs": 96})})
    return buffer.getvalue()


def entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as files:
        return {name: files.read(name) for name in files.namelist()}


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return buffer.getvalue()


def test_a_sealed_archive_gives_its_network_and_facts_back(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(seal(archive))
    network, facts = load_program(path)
    assert facts == {"macs": 96}
    assert torch.equal(network(IMAGES), MODEL(IMAGES))
    assert torch.export.load(path).module()(IMAGES).equal(MODEL(IMAGES)), "torch reads it too"


def test_the_seal_covers_the_contents_and_not_their_order(archive: bytes, tmp_path: Path) -> None:
    path, files = tmp_path / "net.pt2", entries(seal(archive))
    assert [name.partition("/")[2] for name in files][-1] == HASH
    path.write_bytes(zipped(dict(reversed(files.items()))))
    assert load_program(path)[1] == {"macs": 96}
    (facts,) = [name for name in files if name.endswith("netslim.json")]
    path.write_bytes(zipped({**files, facts: b'{"macs": 97}'}))
    with pytest.raises(CheckpointError) as caught:
        load_program(path)
    assert str(caught.value) == (f"{path} is damaged: its contents do not have the hash that was written with them")


def test_compressed_and_other_files_are_refused(archive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(zipped(entries(archive), zipfile.ZIP_DEFLATED))
    with pytest.raises(CheckpointError, match=r"net\.pt2 is refused: .* is compressed$"):
        load_program(path)
    path.write_bytes(b"no archive")
    with pytest.raises(CheckpointError, match=r"net\.pt2 is damaged or no exported program: "):
        load_program(path)
