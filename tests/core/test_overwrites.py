"""What is read and what is written are different files, under whatever names."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.core.overwrites import Use, check_apart


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is read."""
    path = tmp_path / "net.pth.tar"
    path.write_bytes(b"x")
    return path


def test_other_files_are_fine(file: Path) -> None:
    check_apart([Use(setting="model", path=file)], [Use(setting="output", path=file.with_name("small.onnx"))])


@pytest.mark.parametrize("kind", ["itself", "spelling", "link", "hard link"])
def test_the_same_file_is_refused(kind: str, file: Path) -> None:
    other = file.with_name("other")
    if kind == "link":
        other.symlink_to(file)
    elif kind == "hard link":
        other.hardlink_to(file)
    output = {"itself": file, "spelling": file.parent / ".." / file.parent.name / file.name}.get(kind, other)
    with pytest.raises(UsageError, match=r"would replace the file of .*: type another name for `output`$"):
        check_apart([Use(setting="model", path=file)], [Use(setting="output", path=output)])


def test_a_folder_in_which_the_file_will_be_written(file: Path) -> None:
    model = Use(setting="model", path=file)
    check_apart([model], [Use(setting="save", path=file.parent, names=("plan.json",))])
    with pytest.raises(UsageError, match="would replace the file of"):
        check_apart([model], [Use(setting="save", path=file.parent, names=("net*",))])
    own = Use(setting="resume", path=file, own=True)
    check_apart([own], [Use(setting="save", path=file.parent, names=("*",))])


def test_two_outputs_at_one_place(tmp_path: Path) -> None:
    uses = [Use(setting=name, path=tmp_path / "x") for name in ("report", "plot")]
    with pytest.raises(UsageError, match=r"are written to the same place: type another name for `plot`$"):
        check_apart([], uses)


def test_other_names_are_looked_for_as_deep_as_runs_go(file: Path, tmp_path: Path) -> None:
    model, whole = Use(setting="model", path=file), Use(setting="save", path=tmp_path / "home", names=("*",))
    deep = tmp_path / "home" / "variant" / "01-step" / "round1"
    far = deep / "more" / "and" / "more"  # of a home folder, or a whole disk, nobody waits for the rest
    far.mkdir(parents=True)
    (far / "net.pth.tar").hardlink_to(file)
    check_apart([model], [whole])
    (deep / "net.pth.tar").hardlink_to(file)
    with pytest.raises(UsageError, match="would replace the file of"):
        check_apart([model], [whole])
