"""The torch zip archive under every checkpoint: read without trust, written atomically.

A CRC over every entry is checked before anything is interpreted, and every size that the file claims is held against
the bytes that are there (`torch_zip`, `pickle_claims`). Then only tensors, numbers, strings, lists and dicts
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
from netslim.core.torch_files.pickle_claims import check_legacy, check_pickle
from netslim.core.torch_files.torch_zip import checked_entries, is_torch_zip

_DEPTH = 100  # of containers in containers
_OTHERS = {  # how a file begins that is none, and what it is
    b"version https://git-lfs": "it is a pointer of Git LFS: type git lfs pull where it comes from",
    b"<?xml": "it is XML: of an exported folder type its own name",
    b"<": "it is a web page: its download went wrong",
    b"{": "it is JSON",
    b"\x1f\x8b": "it is packed: type gunzip first",
}


def read_archive(path: Path) -> dict[str, Any]:
    """The dict that a `.pth`/`.pth.tar` file holds, on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged, not a torch file, not a dict, or holds anything but dense
            tensors, numbers, strings, lists and dicts (pickled code is never run).
    """
    check_readable(path)
    try:
        _check_claims(path)
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


def _check_claims(path: Path) -> None:
    """Holds what the file says of itself against what is there. Raises CheckpointError."""
    try:
        if is_torch_zip(path):
            _check_zip(path)
        else:
            with path.open("rb") as stream:
                check_legacy(stream, path.stat().st_size)
    except CheckpointError as error:
        raise error if str(path) in str(error) else CheckpointError(f"{path} was refused: {error}") from None
    except Exception as error:  # the parsers raise whatever they met: EOFError, UnpicklingError, KeyError, ...
        detail = _detail(error) if isinstance(error, OSError) else _other(path)
        raise CheckpointError(f"{path} is damaged or no torch checkpoint{detail}") from error


def _other(path: Path) -> str:
    """What a file that is no checkpoint is, as far as its first bytes say it."""
    with path.open("rb") as stream:
        begin = stream.read(64).lstrip().lower()
    said = next((said for mark, said in _OTHERS.items() if begin.startswith(mark)), "" if begin else "it is empty")
    return f": {said}" if said else ""


def _check_zip(path: Path) -> None:
    sizes = checked_entries(path)
    pickles = [name for name in sizes if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError(f"{path} is damaged or no torch checkpoint: a zip archive without one data.pkl")
    prefix = pickles[0].removesuffix("data.pkl") + "data/"
    storages = {name.removeprefix(prefix): size for name, size in sizes.items() if name.startswith(prefix)}
    with zipfile.ZipFile(path) as archive, archive.open(pickles[0]) as stream:
        check_pickle(stream, storages)


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
