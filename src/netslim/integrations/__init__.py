"""Network slimming where people already train: callbacks for other trainers, imported at their first use.

- `NetworkSlimming`, `rebuild_`: for Lightning.
- `TrainerSlimming`: for the `Trainer` of Hugging Face's transformers.

timm's and torchvision's training scripts need one line, `netslim.penalty(..., optimizer=optimizer).attach_()`, and no
callback; see docs/own_loop.md.
"""

import importlib
from typing import Any

_HOMES = {"NetworkSlimming": "lightning", "TrainerSlimming": "hugging_face", "rebuild_": "lightning"}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'netslim.integrations' has no attribute '{name}'")
    return getattr(importlib.import_module(f"netslim.integrations.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
