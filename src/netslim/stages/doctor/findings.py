"""What this machine has, as plain data. Here torch and the libraries are loaded, which takes seconds."""

import importlib
import os
import re
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch

from netslim.core.errors import first_line
from netslim.core.runs.environment import commit, hardware, versions
from netslim.data.dataset import DATASETS, at_hand
from netslim.stages.shared.datasets import data_directory

LIBRARIES = ("torchvision", "timm")  # what they need of torch is seen when they are loaded
_EXTRA = re.compile(r"^([\w.-]+).*extra == [\"'](\w+)[\"']")


def look(data_dir: Path | None) -> dict[str, Any]:
    """Versions, hardware, broken libraries, extras and data sets.

    Args:
        data_dir: folder of the data sets, or None: the default.
    """
    folder = data_directory(data_dir)
    return {
        "versions": versions() | {"commit": commit()},
        "hardware": hardware() | {"instructions": torch.backends.cpu.get_cpu_capability(), "built_for": _built_for()},
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "broken": _broken(),
        "extras": _extras(),
        "compiler": shutil.which("g++") or shutil.which("c++") or shutil.which("cl"),
        "data_dir": str(folder.absolute()),
        "free": _free(folder),
        "datasets": {name: at_hand(name, folder) for name in DATASETS.names()},
        "own_images": [name for name in DATASETS.names() if DATASETS.get(name).shape is None],
    }


def _built_for() -> str:
    return f"CUDA {torch.version.cuda}" if torch.version.cuda else "processors"


def _broken() -> dict[str, str]:
    """Libraries that can't be loaded -> why, in one line."""
    reasons = {}
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except Exception as error:  # a library built for another torch raises whatever its parts raise
            reasons[name] = f"{type(error).__name__}: {first_line(error)}"
    return reasons


def _extras() -> dict[str, dict[str, str | None]]:
    """Extra -> package -> its version, None where it is missing."""
    found: dict[str, dict[str, str | None]] = {}
    for line in requires("netslim") or []:
        if match := _EXTRA.match(line):
            package, extra = match.groups()
            found.setdefault(extra, {})[package] = _version(package)
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _free(folder: Path) -> int:
    """Bytes that are free where the data sets are, or will be."""
    there = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    return shutil.disk_usage(there).free
