"""The examples in docstrings give what they say, and everything public has one."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest
import torch

import netslim

ROOT = Path(netslim.__file__).parent
WITH_EXAMPLES = [file for file in sorted(ROOT.rglob("*.py")) if "    >>> " in file.read_text()]


@pytest.mark.parametrize("file", WITH_EXAMPLES, ids=lambda file: file.stem)
def test_examples_give_what_they_say(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    module = importlib.import_module(".".join(("netslim", *file.relative_to(ROOT).with_suffix("").parts)))
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
    assert list(tmp_path.iterdir()) == []


NOT_CALLED = {"PrunePlan", "NetslimError", "NetslimWarning"}


@pytest.mark.parametrize("name", netslim.__all__)
def test_everything_public_has_an_example(name: str) -> None:
    text = inspect.getdoc(getattr(netslim, name))
    assert text
    assert f"netslim.{name}" in text or name == "PrunePlan"
    assert f"netslim.{name}(" in text or name in NOT_CALLED
    assert ">>> " in text
