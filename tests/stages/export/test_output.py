"""The name of an export: as given, or made from the checkpoint's."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.export.output import output_of


@pytest.mark.parametrize(
    ("target", "name"), [("onnx", "pruned.onnx"), ("pt2", "pruned.pt2"), ("safetensors", "pruned-safetensors")]
)
def test_it_stands_beside_the_checkpoint(target: str, name: str) -> None:
    assert output_of(Path("runs/pruned.pth.tar"), target, None) == Path("runs") / name


def test_a_given_one_is_taken() -> None:
    assert output_of(Path("pruned.pth.tar"), "onnx", Path("x.onnx")) == Path("x.onnx")


def test_an_unknown_target_has_none() -> None:
    with pytest.raises(UsageError, match=r"^unknown [a-z ]*target 'onx'.*onnx"):
        output_of(Path("pruned.pth.tar"), "onx", None)


def test_the_root_has_no_place_beside_it() -> None:
    with pytest.raises(UsageError, match=r"^/ holds no network"):
        output_of(Path("/"), "onnx", None)


def test_the_folder_one_stands_in_has_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small").mkdir()
    monkeypatch.chdir(tmp_path / "small")
    assert output_of(Path(), "onnx", None) == tmp_path / "small.onnx"
