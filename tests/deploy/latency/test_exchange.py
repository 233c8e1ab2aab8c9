"""Tables by way of another machine."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from installed import needs
from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.deploy.formats.signal_stack import signal_stack_kept
from netslim.deploy.latency import exchange
from netslim.deploy.latency.exchange import read_times, write_pieces
from netslim.deploy.latency.pieces import piece_of
from netslim.deploy.latency.table import Conditions

from .small import units

HERE = Conditions(engine="onnxruntime", version="1.0", processor="A", threads=1, batch=2, step=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pieces of two units; not to be written to."""
    found, path = units(), tmp_path_factory.mktemp("pieces") / "new"
    assert write_pieces(path, [piece_of(found, found.units[number]) for number in (3, 6)], HERE) == 6
    return path


def copied(folder: Path, to: Path) -> Path:
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_times_come_back(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    needs(engine)
    here = copied(folder, tmp_path)
    monkeypatch.setattr("sys.argv", ["time_pieces.py", "--engine", engine, "--batch-size", "2", "--rounds", "2"])
    with signal_stack_kept():  # as the end of a program of its own does
        runpy.run_path(str(here / "time_pieces.py"), run_name="__main__")
    table = read_times(here, HERE)
    assert (table.conditions.batch, table.conditions.step) == (2, 8)
    assert table.conditions.version != "1.0"
    assert {kind: sorted(own) for kind, own in table.points.items()} == {
        "0:8x8 | Conv2d/3/1/1/1/depthwise(0) relu(1) > 0": [(4,), (8,), (16,)],
        "0: | Linear(0) > 1": [(4, 10), (8, 10), (16, 10)],
    }
    assert all(seconds >= 0 for own in table.points.values() for seconds in own.values())


def test_times_by_hand_are_less_what_a_call_costs(folder: Path, tmp_path: Path) -> None:
    here = copied(folder, tmp_path)
    lines = ["# processor: phone", "file,seconds", "empty.onnx,0.5", *(f"{n:04d}.onnx,{n + 0.75}" for n in range(6))]
    (here / "times.csv").write_text("\n".join(lines))
    table = read_times(here / "times.csv", HERE)
    assert (table.conditions.processor, table.conditions.version) == ("phone", "unknown")
    assert sorted(seconds for own in table.points.values() for seconds in own.values()) == [n + 0.25 for n in range(6)]
    (here / "times.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(CheckpointError, match="has no times of 1 of the 6 parts, first 0005"):
        read_times(here, HERE)
    (here / "times.csv").write_text("x\n1\n")
    with pytest.raises(CheckpointError, match="no times of parts"):
        read_times(here, HERE)


def test_the_readme_names_the_engine(tmp_path: Path) -> None:
    write_pieces(tmp_path / "parts", [], replace(HERE, engine="openvino"))
    said = (tmp_path / "parts" / "README.md").read_text()
    assert "python time_pieces.py --engine openvino --batch-size 1" in said
    assert "netslim profile MODEL --engine openvino --import times.csv --save table.json\n" in said


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="is in use, and not by parts of a network"):
        write_pieces(tmp_path, [], HERE)


def test_a_folder_that_can_not_be_is_said_as_it_was_typed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NetslimError, match=rf"^cannot write {tmp_path}/file/parts: {tmp_path}/file is a file, and"):
        write_pieces(tmp_path / "file/parts", [], HERE)


def test_a_folder_is_there_when_it_is_complete(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is cut off leaves what was there, or nothing; the same command again writes it."""
    found, here = units(), tmp_path / "parts"
    pieces = [piece_of(found, found.units[number]) for number in (3, 6)]

    def cut_off() -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(exchange, "_empty", cut_off)
        with pytest.raises(KeyboardInterrupt):
            write_pieces(here, pieces, HERE)
    assert list(tmp_path.iterdir()) == []
    assert write_pieces(here, pieces, HERE) == 6
    (here / "times.csv").write_text("file,seconds\n")
    assert write_pieces(here, pieces, HERE) == 6
    assert (here / "times.csv").read_text() == "file,seconds\n"  # hours of another machine
    assert {path.name for path in here.iterdir()} == {path.name for path in folder.iterdir()} | {"times.csv"}
    with pytest.raises(UsageError, match="holds times of other parts; give another folder"):
        write_pieces(here, pieces[:1], HERE)
    assert (here / "0005.onnx").exists()
