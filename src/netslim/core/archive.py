"""The torch zip archive under every checkpoint: read without trust, written atomically.

A CRC over every entry is checked before anything is interpreted, then only tensors, numbers, strings, lists and dicts
are admitted. `torch.save` over an existing file destroys it when the disk fills, so bytes are made in memory first.
"""

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netslim.core.errors import CheckpointError
from netslim.core.files import atomic_write, check_readable

_DEPTH = 100  # of containers in containers
_FOLDER = 0x10  # attribute of a zip entry that no checksum covers; torch fills its tensor with uninitialised memory


def read_archive(path: Path) -> dict[str, Any]:
    """The dict that a `.pth`/`.pth.tar` file holds, on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged, not a torch file, not a dict, or holds anything but dense
            tensors, numbers, strings, lists and dicts (pickled code is never run).
    """
    check_readable(path)
    try:
        _check_crc(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own remarks on odd files; ours is one clear error
            data = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path} was refused: {_reason(error)}") from error
    except Exception as error:  # the parsers raise whatever they met: EOFError, OSError, RuntimeError, KeyError, ...
        raise CheckpointError(f"{path} is damaged or no torch checkpoint{_detail(error)}") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} holds a {type(data).__name__}, not a dict with a state_dict")
    contents = _Contents(path)
    return {str(key): contents.plain(value) for key, value in data.items()}


def write_archive(path: Path, data: dict[str, Any]) -> None:
    """Writes `data` atomically. Raises NetslimError if it can't; the file that was there stays whole."""
    atomic_write(path, archive_bytes(data))


def archive_bytes(data: dict[str, Any]) -> bytes:
    """`data` as a torch zip archive."""
    buffer = io.BytesIO()
    torch.save(data, buffer)
    return buffer.getvalue()


def _check_crc(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            if stream.read(2) == b"PK":  # torch before 1.6 wrote no zip; what begins as one is one, cut off
                raise CheckpointError(f"{path} is damaged: the archive is cut off")
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise CheckpointError(f"{path} was refused: torch archives are not compressed")
        if any(entry.external_attr & _FOLDER and entry.file_size for entry in archive.infolist()):
            raise CheckpointError(f"{path} is damaged: a file in the archive is marked as a folder")
        bad = archive.testzip()
    if bad is not None:
        raise CheckpointError(f"{path} is damaged: the checksum of {bad} is wrong")


class _Contents:
    """Admits what one file may hold, and no more of it than fits into the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._room = self._size  # every item takes a byte at least, unless data repeats or contains itself

    def plain(self, value: Any, depth: int = 0) -> Any:
        """`value` with tensors checked and containers made plain. Raises CheckpointError for anything else."""
        self._room -= 1
        if self._room < 0 or depth > _DEPTH:
            raise self._refused("its data repeats or is nested without end")
        if isinstance(value, Tensor):
            return self._dense(value)
        if isinstance(value, dict):
            return {key: self.plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set):
            return [self.plain(item, depth + 1) for item in value]
        if value is None or isinstance(value, bool | int | float | str | bytes | complex):
            return value
        raise self._refused(f"it holds a {type(value).__name__}")

    def _dense(self, tensor: Tensor) -> Tensor:
        if tensor.layout != torch.strided:
            raise self._refused(f"it holds a tensor that is not dense ({tensor.layout})")
        if tensor.is_quantized or tensor.device.type != "cpu":
            raise self._refused(f"it holds a tensor without plain numbers ({tensor.dtype} on {tensor.device})")
        if tensor.numel() * tensor.element_size() > self._size:
            raise self._refused(f"a tensor of shape {tuple(tensor.shape)} is larger than the file")
        return tensor.detach()

    def _refused(self, reason: str) -> CheckpointError:
        return CheckpointError(f"{self._path} was refused: {reason}")


def _detail(error: Exception) -> str:
    text = str(error).strip().split("\n")[0]
    return f": {text}" if " " in text else ""  # a KeyError's text is the key alone


def _reason(error: Exception) -> str:
    for line in str(error).split("\n"):
        if "Unsupported global" in line or "GLOBAL" in line:
            name = line.split("GLOBAL ", 1)[-1].split(" was not")[0].split(" whose")[0].strip()
            return f"it holds pickled code ({name}), which is never run"
    return "it is damaged or holds pickled code, which is never run"
