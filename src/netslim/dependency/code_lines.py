"""Which code is a network's own: torch's, which it calls, and what follows its run are not."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from types import FrameType

import torch

_TORCH = str(Path(torch.__file__).parent) + os.sep  # not torchvision
_OURS = (str(Path(__file__).parent), str(Path(__file__).parent.parent / "core"))
_GENERATED = "<eval_with_key>"  # code that torch.fx wrote; every copy of a network has another number behind it


def line_of(frame: FrameType) -> str | None:
    """The line of code that a frame runs, in any library but torch."""
    file = frame.f_code.co_filename
    return None if file.startswith((_TORCH, *_OURS)) else f"{file}:{frame.f_lineno}"


@functools.cache
def file_of_network(path: str) -> str | None:
    """The name of a file of code, None if it is torch's or what follows it."""
    if path.startswith((_TORCH, *_OURS)):
        return None
    return _GENERATED if path.startswith(_GENERATED) else Path(path).name
