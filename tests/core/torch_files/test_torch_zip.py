"""Archives that could be read in two ways are refused."""

import zipfile
from pathlib import Path

import pytest
import torch

from netslim.core.errors import CheckpointError
from netslim.core.torch_files.torch_zip import checked_entries, is_torch_zip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What torch writes."""
    torch.save({"x": torch.zeros(3)}, tmp_path / "x.pt")
    return tmp_path / "x.pt"


def test_what_torch_writes_passes(file: Path) -> None:
    assert is_torch_zip(file)
    assert any(name.endswith("/data/0") and size == 12 for name, size in checked_entries(file).items())


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"text")
    assert not is_torch_zip(tmp_path / "x")


def test_one_that_is_cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match=r"is damaged: the archive is cut off$"):
        is_torch_zip(file)


def test_bytes_after_the_end(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(CheckpointError, match=r"bytes follow the end of the archive|cut off"):
        checked_entries(file)


@pytest.mark.parametrize("name", ["a/../b", "/a", "A"])
def test_names_that_are_refused(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr(name, b"2")
    with pytest.raises(CheckpointError, match=r"the archive has (an entry|two entries) of the name"):
        checked_entries(tmp_path / "x")


def test_a_wrong_checksum(file: Path) -> None:
    data = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        entry = next(entry for entry in archive.infolist() if entry.filename.endswith("data.pkl"))
    place = data.index(b"x", entry.header_offset + 30 + len(entry.filename))
    file.write_bytes(data[:place] + b"y" + data[place + 1 :])
    with pytest.raises(CheckpointError, match=r"is damaged: the checksum of x/data\.pkl is wrong$"):
        checked_entries(file)
