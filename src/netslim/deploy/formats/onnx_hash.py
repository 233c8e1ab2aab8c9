"""A hash in an ONNX file: the format itself has no checksum, so that a damaged weight would be read as it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netslim.core.errors import CheckpointError

KEY = b"netslim_sha256"


def seal(model: bytes) -> bytes:
    """A model with its SHA-256 as one more entry of `metadata_props`, at the end of the file.

    Protobuf merges what follows a message into it, so that the hash covers the file's bytes as they are.
    """
    return model + _entry(model)


def check_seal(content: bytes, path: Path) -> None:
    """Raises CheckpointError if a file's hash is not that of what comes before it. A file without one passes."""
    size = len(_entry(b""))
    if KEY in content and content[-size:] != _entry(content[:-size]):
        raise CheckpointError(
            f"{path} is damaged, or another program changed it: its metadata {KEY.decode()} is not its hash; export it "
            f"again, or remove that entry"
        )


def facts_in(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What netslim wrote of itself into an ONNX file's metadata; nothing for files of others."""
    try:
        found = json.loads(metadata.get("netslim", "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def metadata_of(model: Any) -> dict[str, str]:
    """The metadata of an ONNX model, without its hash."""
    return {entry.key: entry.value for entry in model.metadata_props if entry.key != KEY.decode()}


def with_facts(model: Any, facts: Mapping[str, Any]) -> bytes:
    """A changed model as a file: what it says of itself has these facts, too, and its hash is its own."""
    from onnx import helper

    said = metadata_of(model)
    said["netslim"] = json.dumps({**facts_in(said), **facts})
    del model.metadata_props[:]
    helper.set_model_props(model, said)
    return seal(model.SerializeToString())


def _entry(model: bytes) -> bytes:
    """`metadata_props` (field 14) with key (field 1) and value (field 2), as protobuf writes them."""
    value = hashlib.sha256(model).hexdigest().encode()
    inner = b"\x0a" + bytes([len(KEY)]) + KEY + b"\x12" + bytes([len(value)]) + value
    return b"\x72" + bytes([len(inner)]) + inner
