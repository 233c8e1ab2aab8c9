"""Tensors of an ONNX file, none of whose claims is believed before it is held against the bytes."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netslim.core.errors import CheckpointError
from netslim.models.onnx_import.builder import LARGEST

_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 16: 2}  # of a number, by ONNX's type
_HALF = (10, 16)  # float16 and bfloat16: computed in single precision


def as_tensor(proto: Any, folder: Path | None = None) -> Tensor:
    """A `TensorProto` as a torch tensor; half precision becomes single.

    Args:
        proto: from the file.
        folder: where the file is, for tensors that lie beside it; None: there must be none.

    Raises:
        CheckpointError: a type that is not computed with, a size that is not that of the bytes, or a path that leads
            out of the folder.
    """
    from onnx import numpy_helper

    name, count = proto.name or "a constant", math.prod(proto.dims)
    if proto.data_type not in _BYTES or any(side < 0 for side in proto.dims):
        raise CheckpointError(
            f"tensor '{name}' is of ONNX's type {proto.data_type}, which is none that is computed with"
        )
    if count > LARGEST:
        raise CheckpointError(f"tensor '{name}' says that it has {count:,} numbers (at most {LARGEST:,} are read)")
    proto = with_content(proto, folder)
    if proto.HasField("raw_data") and len(proto.raw_data) != count * _BYTES[proto.data_type]:
        raise CheckpointError(f"tensor '{name}' has {len(proto.raw_data):,} bytes, not those of {count:,} numbers")
    try:
        array = numpy_helper.to_array(proto)
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"tensor '{name}' is damaged: {error}") from error
    if proto.data_type in _HALF:
        array = array.astype(np.float32)
    if array.dtype == np.uint16:
        array = array.astype(np.int32)
    return torch.from_numpy(np.array(array, copy=True))


def with_content(proto: Any, folder: Path | None) -> Any:
    """The tensor, with its bytes where they lie in another file. Raises CheckpointError if they are not there."""
    if proto.data_location != proto.EXTERNAL:
        return proto
    size = math.prod(proto.dims) * _BYTES[proto.data_type]
    entries = {entry.key: entry.value for entry in proto.external_data}
    path = _beside(proto.name, entries.get("location", ""), folder)
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    except ValueError as error:
        raise CheckpointError(f"tensor '{proto.name}' is at a place that is no number") from error
    if length != size or offset < 0 or offset + length > path.stat().st_size:
        raise CheckpointError(f"{path} does not have the {size:,} bytes of tensor '{proto.name}' at {offset:,}")
    found = type(proto)()
    found.CopyFrom(proto)
    del found.external_data[:]
    found.data_location = found.DEFAULT
    with path.open("rb") as file:
        file.seek(offset)
        found.raw_data = file.read(length)
    return found


def _beside(name: str, location: str, folder: Path | None) -> Path:
    """The file of a tensor: in the model's folder, or in one within it. Raises CheckpointError for any other."""
    parts = PurePosixPath(location.replace("\\", "/")).parts
    leads_out = not parts or ".." in parts or parts[0].startswith("/") or ":" in parts[0]
    if folder is None or leads_out:
        raise CheckpointError(f"tensor '{name}' is in '{location}', which is not beside the model")
    path = folder.joinpath(*parts)
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: tensor '{name}' is in it")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(f"tensor '{name}' is in '{location}', which leads out of the model's folder")
    return path
