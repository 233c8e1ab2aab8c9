import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from netslim.core.runs import environment

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def test_versions_of_what_computed() -> None:
    import platform

    import torch

    found = environment.versions()
    assert found["python"] == platform.python_version()
    assert found["torch"] == torch.__version__.partition("+")[0] or found["torch"] == torch.__version__
    assert set(found) == {"python", "netslim", "torch", "torchvision", "timm", "numpy"}


def test_hardware() -> None:
    found = environment.hardware()
    assert set(found) == {"cpu", "cores", "threads", "gpu"}
    assert found["cpu"]
    assert found["cores"] == os.cpu_count()


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as if it were installed in `tmp_path`, out of reach of any other checkout."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    file = shutil.copy(environment.__file__, tmp_path / "environment.py")
    spec = importlib.util.spec_from_file_location("copied_environment", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        who = (
            "-c",
            "user.name=n",
            "-c",
            "user.email=e",
            "-c",
            "commit.gpgsign=false",
            "-c",
            "core.hooksPath=/dev/null",
        )
        command = ["git", *who, *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    return run


@needs_git
def test_commit_of_the_checkout(copied: ModuleType, git: Callable[..., str], tmp_path: Path) -> None:
    git("init", "-q")
    git("add", "environment.py")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD")[:12]
    assert copied.commit() == commit
    (tmp_path / "environment.py").open("a").write("\n")
    assert copied.commit() == f"{commit}+"


@needs_git
def test_a_package_installed_inside_another_checkout_has_no_commit(copied: ModuleType, git: Callable[..., str]) -> None:
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "somebody's project")
    assert copied.commit() == "unknown"


def test_no_checkout_and_no_git(copied: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert copied.commit() == "unknown"
    monkeypatch.setenv("PATH", "")
    assert copied.commit() == "unknown"
