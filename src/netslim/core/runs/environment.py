"""What a number depends on: versions, hardware and the commit, recorded with every run and every result."""

import functools
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def versions() -> dict[str, str]:
    """Versions of Python, netslim and the libraries that computed something."""
    packages = ("netslim", "torch", "torchvision", "timm", "numpy")
    return {"python": platform.python_version()} | {package: version_of(package) for package in packages}


@functools.cache  # it looks through all that is installed, and every checkpoint says it
def version_of(package: str) -> str:
    """The version of a package that is installed, or `unknown`."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def hardware() -> dict[str, str | int]:
    """Processor, cores in use and, where there is one, the GPU."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {"cpu": _processor(), "cores": os.cpu_count() or 1, "threads": torch.get_num_threads(), "gpu": gpu}


def commit() -> str:
    """The checkout's commit with `+` for local changes, or `unknown` outside one."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # installed inside another checkout: not its commit
        return _git("describe", "--always", "--dirty=+", "--abbrev=12")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command, here = ["git", *arguments], Path(__file__).parent
    result = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    return result.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
