"""A network as a folder of two files: `model.safetensors` and the `config.json` that says how it is built."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError
from netslim.core.files import atomic_write, check_readable, write_json
from netslim.core.protocols import ArchSpec

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def is_folder(path: Path) -> bool:
    """Whether `path` is such a folder or its weights."""
    return (path / CONFIG).is_file() or path.suffix == ".safetensors"


def write_folder(folder: Path, state: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Writes both files."""
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    atomic_write(folder / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    write_json(folder / CONFIG, facts)


def read_folder(path: Path) -> Checkpoint:
    """What a folder holds, given by its name or by that of its weights.

    Raises:
        CheckpointError: a file is missing or damaged, or the folder is no export of target safetensors.
    """
    weights = path / WEIGHTS if path.is_dir() else path
    config = weights.with_name(CONFIG)
    facts = _json(config, weights)
    if facts.get("target", "safetensors") != "safetensors" or not isinstance(facts.get("arch"), dict | None):
        raise CheckpointError(f"{config}: target {facts.get('target')}; netslim.load opens those of target safetensors")
    check_readable(weights)
    try:
        state = load(weights.read_bytes())
        return Checkpoint(
            state_dict=state,
            arch=ArchSpec(**facts["arch"]) if facts.get("arch") else None,
            plan=facts.get("plan"),
            cfg=facts.get("cfg"),
            dataset=facts.get("dataset"),
            provenance=facts.get("provenance") or {},
            extra={"network": facts["network"]} if facts.get("network") else {},
        )
    except SafetensorError as error:
        raise CheckpointError(f"{weights} is damaged or no safetensors file: {error}") from error
    except TypeError as error:
        raise CheckpointError(f"{config} does not say how the network is built: {error}") from error


def _json(config: Path, weights: Path) -> dict[str, Any]:
    if not config.is_file():
        raise CheckpointError(f"{config} is missing: it says how the network of {weights.name} is built")
    try:
        facts = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{config} is damaged or no JSON: {error}") from error
    if not isinstance(facts, dict):
        raise CheckpointError(f"{config} is no configuration: it holds a {type(facts).__name__}")
    return facts
