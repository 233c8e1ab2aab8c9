"""Sizes that a pickle claims are held against the bytes that are there; code is never looked up."""

import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from netslim.core.errors import CheckpointError
from netslim.core.torch_files.pickle_claims import check_pickle


class Code:
    """Runs something when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("ran",)


@pytest.fixture
def pickled(tmp_path: Path) -> bytes:
    """The `data.pkl` of a tensor of 12 bytes."""
    torch.save({"x": torch.zeros(3), "n": [1, "a"]}, tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        return archive.read("x/data.pkl")


def test_a_storage_that_has_its_bytes(pickled: bytes) -> None:
    check_pickle(io.BytesIO(pickled), {"0": 12})


@pytest.mark.parametrize("size", [11, 0])
def test_a_storage_that_has_too_few(size: int, pickled: bytes) -> None:
    with pytest.raises(CheckpointError, match=rf"^storage 0 should have 12 bytes and has {size}$"):
        check_pickle(io.BytesIO(pickled), {"0": size})


def test_code_is_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckpointError, match=r"^it holds pickled code \(builtins\.print\), which is never run$"):
        check_pickle(io.BytesIO(pickle.dumps(Code())), {})
    assert capsys.readouterr().out == ""
