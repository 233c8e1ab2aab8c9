"""A network as a folder of two files: `model.safetensors` and the `config.json` that says how it is built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError
from netslim.core.files import atomic_write, check_readable, write_json
from netslim.core.protocols import ArchSpec
from netslim.core.schemas import Architecture, DatasetFacts, FileModel, as_model, read_json

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
    facts = _facts(config, weights)
    if facts.target != "safetensors":
        raise CheckpointError(f"{config}: target {facts.target}; netslim.load opens those of target safetensors")
    check_readable(weights)
    try:
        state = load(weights.read_bytes())
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{weights} is damaged or no safetensors file: {error}") from error
    return Checkpoint(
        state_dict=state,
        arch=ArchSpec(name=facts.arch.name, arguments=facts.arch.arguments) if facts.arch else None,
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


def _facts(config: Path, weights: Path) -> _Facts:
    if not config.is_file():
        raise CheckpointError(f"{config} is missing: it says how the network of {weights.name} is built")
    try:
        data = read_json(config)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{config} is damaged or no JSON: {error}") from error
    try:
        return as_model(_Facts, data)
    except ValueError as error:
        raise CheckpointError(f"{config} does not say how the network is built: {error}") from error
