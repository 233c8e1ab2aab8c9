"""The torch zip archive under every checkpoint: read without trust, written atomically.

A CRC over every entry is checked before anything is interpreted, then only tensors, numbers, strings, lists and dicts
are admitted. `torch.save` over an existing file destroys it when the disk fills, so bytes are made in memory first.
"""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netslim.core.errors import CheckpointError
from netslim.core.files import atomic_write


def read_archive(path: Path) -> dict[str, Any]:
    """The dict that a `.pth`/`.pth.tar` file holds, on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged, not a torch file, not a dict, or holds anything but dense
            tensors, numbers, strings, lists and dicts (pickled code is never run).
    """
    if not path.is_file():
        raise CheckpointError(f"no such checkpoint file: {path}" + (" (it is a folder)" if path.is_dir() else ""))
    _check_crc(path)
    try:
        data = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path} was refused: {_reason(error)}") from error
    except Exception as error:  # torch raises whatever its parser met: EOFError, OSError, RuntimeError, KeyError, ...
        raise CheckpointError(f"{path} is damaged or no torch checkpoint: {_first_line(error)}") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} holds a {type(data).__name__}, not a dict with a state_dict")
    size = path.stat().st_size
    return {str(key): _plain(value, path, size) for key, value in data.items()}


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
    try:
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise CheckpointError(f"{path} was refused: torch archives are not compressed")
            bad = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, EOFError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged: {_first_line(error)}") from error
    if bad is not None:
        raise CheckpointError(f"{path} is damaged: the checksum of {bad} is wrong")


def _plain(value: Any, path: Path, file_size: int) -> Any:
    """`value` with tensors checked and containers made plain."""
    if isinstance(value, Tensor):
        return _dense(value, path, file_size)
    if isinstance(value, dict):
        return {key: _plain(item, path, file_size) for key, item in value.items()}
    if isinstance(value, list | tuple | set | torch.Size):
        return [_plain(item, path, file_size) for item in value]
    if value is None or isinstance(value, bool | int | float | str | bytes | complex):
        return value
    raise CheckpointError(f"{path} was refused: it holds a {type(value).__name__}")


def _dense(tensor: Tensor, path: Path, file_size: int) -> Tensor:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise CheckpointError(f"{path} was refused: it holds a tensor that is not dense ({tensor.layout})")
    if tensor.numel() * tensor.element_size() > file_size:
        raise CheckpointError(f"{path} was refused: a tensor of shape {tuple(tensor.shape)} is larger than the file")
    return tensor.detach()


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0]
    return text or type(error).__name__


def _reason(error: Exception) -> str:
    for line in str(error).split("\n"):
        if "Unsupported global" in line or "GLOBAL" in line:
            name = line.split("GLOBAL ", 1)[-1].split(" was not")[0].split(" whose")[0].strip()
            return f"it holds pickled code ({name}), which is never run"
    return "it is damaged or holds something that is not plain data"
