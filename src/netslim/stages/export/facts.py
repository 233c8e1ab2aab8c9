"""What an exported file says of itself."""

from pathlib import Path
from typing import Any

from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.files import file_hash
from netslim.core.runs.environment import versions
from netslim.core.safetensors_folder import WEIGHTS
from netslim.network import describe


def export_facts(model: nn.Module, checkpoint: Checkpoint, path: Path) -> dict[str, Any]:
    """Architecture, plan, data set, and the checkpoint in `path` that it was made from."""
    described, holder = describe(model), path / WEIGHTS if path.is_dir() else path
    return {
        "arch": described.arch.to_dict() if described.arch else None,
        "cfg": described.cfg,
        "plan": described.plan,
        "dataset": checkpoint.dataset,
        "provenance": {
            "stage": "export",
            "parent": path.name,
            "sha256": file_hash(holder),
            "versions": versions(),
        },
    }
