"""Networks that come with netslim, and folders of the target safetensors, where a verb takes a checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netslim as package
from netslim.models.published import folder_of

Netslim = Callable[..., Any]
NAME = "published/resnet20-digits-half"


@pytest.mark.parametrize("given", [NAME, str(folder_of(Path(NAME)))], ids=["name", "folder"])
def test_verbs_take_them(netslim: Netslim, given: str, tmp_path: Path) -> None:
    code, out, _ = netslim("info", given)
    assert code == 0
    assert "114,068" in out
    code, out, _ = netslim("evaluate", given, "--device", "cpu")
    assert (code, "98.33 % (354/360)" in out) == (0, True)
    code, *_ = netslim(
        "prune", given, "--target-macs", 0.3, "--recalibrate", 0, "--save", tmp_path / "p", "--device", "cpu"
    )
    assert code == 0
    small = package.load(tmp_path / "p" / "pruned.pth.tar")
    assert package.load(NAME).plan.after.macs > small.plan.after.macs


def test_an_export_lies_where_the_command_was_typed(
    netslim: Netslim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {*folder_of(Path(NAME)).iterdir()}
    assert netslim("export", NAME, "--target", "onnx")[0] == 0
    assert [file.name for file in tmp_path.rglob("*.onnx")] == ["resnet20-digits-half.onnx"]
    assert {*folder_of(Path(NAME)).iterdir()} == before


def test_a_name_that_is_none(netslim: Netslim) -> None:
    code, _, err = netslim("prune", "published/resnet20-digit-half")
    assert code == 2
    assert err.startswith("netslim: error: unknown published network 'resnet20-digit-half'")
