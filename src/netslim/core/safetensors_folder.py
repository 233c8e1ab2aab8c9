"""A network as a folder of two files: `model.safetensors` and the `config.json` that says how it is built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from netslim.core.checkpoint import Checkpoint, arch_spec
from netslim.core.errors import CheckpointError
from netslim.core.files import atomic_write, check_readable, file_hash, write_json
from netslim.core.schemas import Architecture, DatasetFacts, FileModel, as_model, read_json

WEIGHTS, CONFIG, HASHES = "model.safetensors", "config.json", "sha256"


def is_folder(path: Path) -> bool:
    """Whether `path` is such a folder or its weights."""
    return (path / CONFIG).is_file() or path.suffix == ".safetensors"


def write_folder(
    folder: Path, state: Mapping[str, Tensor], facts: Mapping[str, Any], code: Mapping[str, str] | None = None
) -> None:
    """Writes both files, and source code by name; the configuration holds the SHA-256 of each and of itself."""
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    written = {name: text.encode() for name, text in (code or {}).items()}
    write_files(folder, {**written, WEIGHTS: save(tensors, metadata={"format": "pt"})}, facts)


def write_files(folder: Path, files: Mapping[str, bytes], facts: Mapping[str, Any]) -> None:
    """Writes files by name, and the configuration with the SHA-256 of each and of itself."""
    for name, content in files.items():
        atomic_write(folder / name, content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    write_json(folder / CONFIG, {**facts, HASHES: {**hashes, CONFIG: _own_hash(facts)}})


def check_hashes(folder: Path, facts: Mapping[str, Any]) -> None:
    """Holds a folder against the hashes in its configuration. One of an earlier version, which has none, passes.

    Raises:
        CheckpointError: the configuration or a file is not what was written.
    """
    hashes = facts.get(HASHES)
    if hashes is None:
        return
    own = {key: value for key, value in facts.items() if key != HASHES}
    if not isinstance(hashes, dict) or hashes.get(CONFIG) != _own_hash(own):
        raise CheckpointError(f"{folder / CONFIG} is damaged: it does not have the hash that was written in it")
    for name in hashes.keys() - {CONFIG}:
        check_readable(folder / name)
        if file_hash(folder / name) != hashes[name]:
            raise CheckpointError(f"{folder / name} is damaged: its hash is not the one in {CONFIG}")


def read_facts(config: Path) -> dict[str, Any]:
    """The configuration of a folder. Raises CheckpointError if it is no JSON object."""
    try:
        facts = read_json(config)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{config} is damaged or no JSON: {error}") from error
    if not isinstance(facts, dict):
        raise CheckpointError(f"{config} is no configuration: it holds a {type(facts).__name__}")
    return facts


def read_folder(path: Path) -> Checkpoint:
    """What a folder holds, given by its name or by that of its weights.

    Raises:
        CheckpointError: a file is missing or damaged, or the folder is no export of target safetensors.
    """
    weights = path / WEIGHTS if path.is_dir() else path
    config = weights.with_name(CONFIG)
    data = _data(config, weights)
    facts = _facts(config, data)
    if facts.target != "safetensors":
        raise CheckpointError(f"{config}: target {facts.target}; netslim.load opens those of target safetensors")
    check_readable(weights)
    try:
        check_hashes(weights.parent, data)
        state = load(weights.read_bytes())
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{weights} is damaged or no safetensors file: {error}") from error
    return Checkpoint(
        state_dict=state,
        arch=arch_spec(facts.arch),
        plan=facts.plan,
        cfg=list(facts.cfg) if facts.cfg is not None else None,
        dataset=facts.dataset.model_dump(exclude_unset=True) if facts.dataset else None,
        provenance=facts.provenance or {},
        extra={"network": facts.network} if facts.network else {},
    )


class _Facts(FileModel):
    target: str = "safetensors"
    network: str | None = None
    arch: Architecture | None = None
    plan: dict[str, Any] | None = None
    cfg: list[int | Literal["M"]] | None = None
    dataset: DatasetFacts | None = None
    provenance: dict[str, Any] | None = None


def _data(config: Path, weights: Path) -> dict[str, Any]:
    if not config.is_file():
        raise CheckpointError(f"{config} is missing: it says how the network of {weights.name} is built")
    return read_facts(config)


def _facts(config: Path, data: Mapping[str, Any]) -> _Facts:
    try:
        return as_model(_Facts, data)
    except ValueError as error:
        raise CheckpointError(f"{config} does not say how the network is built: {error}") from error


def _own_hash(facts: Mapping[str, Any]) -> str:
    """Of the configuration's data: spaces and the order of keys don't matter."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
