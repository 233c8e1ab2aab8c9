"""`netslim doctor`: what this machine has, what is missing, and the command that gets it."""

import importlib
import re
import shutil
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any

import torch

from netslim.core.errors import first_line, setting
from netslim.core.runs.environment import commit, hardware, versions
from netslim.data.dataset import DATASETS, at_hand
from netslim.report.console import say, spelled
from netslim.report.tables import print_table
from netslim.stages.doctor.config import DoctorConfig
from netslim.stages.shared.datasets import data_directory

LIBRARIES = ("torchvision", "timm")  # what they need of torch is seen when they are loaded
_EXTRA = re.compile(r"^([\w.-]+).*extra == [\"'](\w+)[\"']")


def run(config: DoctorConfig) -> dict[str, Any]:
    """Prints a line per part of the installation, with what to type for what is missing. Returns the same as data."""
    folder = data_directory(config.data_dir)
    found: dict[str, Any] = {
        "versions": versions() | {"commit": commit()},
        "hardware": hardware() | {"instructions": torch.backends.cpu.get_cpu_capability()},
        "broken": _broken(),
        "extras": _extras(),
        "compiler": shutil.which("g++") or shutil.which("c++") or shutil.which("cl"),
        "data_dir": str(folder.absolute()),
        "free": _free(folder),
        "datasets": {name: at_hand(name, folder) for name in DATASETS.names()},
    }
    lines = [*_machine(found), *_packages(found), *_data(found)]
    print_table(["part", "found", "what to do"], [(part, there, spelled(advice)) for part, there, advice in lines])
    broken = ", ".join(found["broken"])
    say(f"broken: {broken}" if broken else "everything that the five steps need is there")
    return found


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


Line = tuple[str, str, str]


def _machine(found: dict[str, Any]) -> list[Line]:
    machine = found["hardware"]
    threads = "" if machine["threads"] == machine["cores"] else "OMP_NUM_THREADS sets another number"
    return [
        ("processor", f"{machine['cpu']}, {machine['instructions']}", ""),
        ("threads", f"{machine['threads']} of {machine['cores']} cores", threads),
        ("gpu", machine["gpu"], "" if torch.cuda.is_available() else _gpu_advice()),
        ("C++ compiler", found["compiler"] or "missing", "" if found["compiler"] else "needed by torch.compile alone"),
    ]


def _gpu_advice() -> str:
    if torch.version.cuda:
        return "torch is built for CUDA and sees no GPU: everything runs on the processor"
    return "torch is built without CUDA: everything runs on the processor"


def _packages(found: dict[str, Any]) -> list[Line]:
    needs = metadata("netslim")["Requires-Python"]
    notes = {"python": f"netslim needs {needs}"} | {
        name: f"can't be loaded ({why}): install it anew beside this torch" for name, why in found["broken"].items()
    }
    lines = [(name, number, notes.get(name, "")) for name, number in found["versions"].items()]
    return lines + [_extra_line(extra, packages) for extra, packages in found["extras"].items() if extra != "dev"]


def _extra_line(extra: str, packages: dict[str, str | None]) -> Line:
    have = ", ".join(f"{name} {number}" for name, number in packages.items() if number)
    missing = [name for name, number in packages.items() if not number]
    advice = f"missing: {', '.join(missing)}; type pip install 'netslim[{extra}]'" if missing else ""
    return f"[{extra}]", have or "-", advice


def _data(found: dict[str, Any]) -> list[Line]:
    free = f"{found['free'] / 2**30:.1f} GiB free"
    lines = [("data folder", found["data_dir"], f"{free}; NETSLIM_DATA_DIR or {setting('data_dir', 'DIR')}: another")]
    for name, there in found["datasets"].items():
        lines.append((name, "there" if there else "missing", "" if there else _how_to_get(name)))
    return lines


def _how_to_get(name: str) -> str:
    if DATASETS.get(name).shape is None:
        return "your own images: train/CLASS/*.png and test/CLASS/*.png in the data folder"
    return f"the first command with {setting('dataset', name)} downloads it there"
