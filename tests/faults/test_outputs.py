"""Nothing that is read is written over, whatever it is called; pipes and links are written through."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netslim.cli.app import main
from netslim.core.errors import UsageError
from netslim.core.files import atomic_write, recover, temporary_name
from netslim.core.overwrites import Use, check_apart

Netslim = Callable[..., Any]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def here(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a network under four names."""
    monkeypatch.chdir(tmp_path)
    Path("m.pth.tar").write_bytes(model.read_bytes())
    Path("hard.pth.tar").hardlink_to("m.pth.tar")
    Path("soft.pth.tar").symlink_to("m.pth.tar")
    Path("around").symlink_to(tmp_path, target_is_directory=True)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("info m.pth.tar --json m.pth.tar", "--json m.pth.tar would replace the file of MODEL m.pth.tar"),
        ("info m.pth.tar --json ./m.pth.tar", "--json m.pth.tar would replace"),
        ("info m.pth.tar --json hard.pth.tar", "--json hard.pth.tar would replace the file of MODEL m.pth.tar"),
        ("info m.pth.tar --json soft.pth.tar", "--json soft.pth.tar would replace the file of MODEL m.pth.tar"),
        ("info m.pth.tar --json around/m.pth.tar", "--json around/m.pth.tar would replace"),
        ("transfer --weights m.pth.tar --output m.pth.tar", "--output m.pth.tar would replace the file of --weights"),
        ("transfer --weights m.pth.tar --plot m.pth.tar", "--plot m.pth.tar would replace the file of --weights"),
        ("transfer --output q --report q", "--report q and --output q are written to the same place"),
        ("train --resume m.pth.tar --save r --json m.pth.tar", "--json m.pth.tar would replace the file of --resume"),
        ("train --save r --json r/run.json", "--json r/run.json and --save r are written to the same place"),
        ("train --save r --json around/r/checkpoint.pth.tar", "--json around/r/checkpoint.pth.tar and --save r are"),
        ("train --save r --json r", "--json r and --save r are written to the same place"),
        ("prune m.pth.tar --save r --json r/plan.json", "--json r/plan.json and --save r are written to the same"),
        ("export m.pth.tar --json m.onnx", "--json m.onnx and --output m.onnx are written to the same place"),
        ("export m.pth.tar --target pt2 --output m.pth.tar", "--output m.pth.tar would replace the file of MODEL"),
        ("bench m.pth.tar --save r --json r/bench.csv", "--json r/bench.csv and --save r are written to the same"),
        ("demo --save r --json r/final/model_best.pth.tar", "--json r/final/model_best.pth.tar and --save r are"),
        ("train --config c.toml --json c.toml --save r", "--json c.toml would replace the file of --config c.toml"),
        ("train --save r --teacher r/model_best.pth.tar", "--save r would replace the file of --teacher r/model_best"),
    ],
)
def test_an_output_on_an_input(netslim: Netslim, here: Path, line: str, message: str) -> None:
    (here / "c.toml").write_text("epochs = 1\n")
    before = digest(here / "m.pth.tar")
    code, err = netslim(*line.split())
    assert (code, err.count("\n")) == (2, 1), err
    assert err.startswith(f"netslim: error: {message}")
    assert "type another name for --" in err
    assert digest(here / "m.pth.tar") == before
    assert not (here / "r").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("report run --json run/run.json", "--json run/run.json would replace the file of FOLDERS run"),
        ("report run --json run/report.html", "--json run/report.html and --out run/report.html are written to the"),
        ("report . --json run/plan.json", "--json run/plan.json would replace the file of FOLDERS ."),
        ("push run --to a/b --json run/model_best.pth.tar", "--json run/model_best.pth.tar would replace the file of"),
        ("bench run --trust --json run/network.py", "--json run/network.py would replace the file of FILES run"),
        ("bench n.onnx --json n.onnx.data", "--json n.onnx.data would replace the file of FILES n.onnx"),
        ("info m.pth.tar --arch net.py:Net --json net.py", "--json net.py would replace the file of --arch net.py"),
        ("evaluate m.pth.tar --dataset net.py:data --json ./net.py", "--json net.py would replace the file of --data"),
        (
            "train --dataset folder --data-dir f --save r --json f/train/a/0.png",
            "--json f/train/a/0.png would replace the file of --data-dir f",
        ),
        (
            "slim --dataset folder --data-dir f --save f/train",
            "--save f/train would replace the file of --data-dir f",
        ),
        ("recipe check r.toml --json r.toml", "--json r.toml would replace the file of FILE r.toml"),
        ("recipe new n.toml --dataset digits --json n.toml", "--json n.toml and FILE n.toml are written to the same"),
        ("slim r.toml --json ./m.pth.tar", "--json m.pth.tar would replace the file of `from=m.pth.tar`"),
    ],
)
def test_an_output_on_what_a_folder_holds_or_a_setting_leads_to(
    netslim: Netslim, here: Path, images: Path, line: str, message: str
) -> None:
    (here / "run").mkdir()
    (here / "f").symlink_to(images)
    (here / "r.toml").write_text('[[step]]\nverb = "prune"\nfrom = "./m.pth.tar"\n')
    code, err = netslim(*line.split())
    assert (code, err.count("\n")) == (2, 1), err
    assert err.startswith(f"netslim: error: {message}")


def test_beside_what_is_read_there_is_room(images: Path, tmp_path: Path) -> None:
    """A run's folder in the folder of the images, and a report's data in the folder of the run."""
    data = Use(setting="data_dir", path=images, names=("train/*",))
    run = Use(setting="folders", path=tmp_path, names=("run.json", "*/run.json"))
    check_apart([data, run], [Use(setting="save", path=images, names=("run.json",))])
    check_apart([run], [Use(setting="json", path=tmp_path / "report.json")])
    check_apart([run], [Use(setting="save", path=tmp_path / "bench", names=("bench.*",))])
    with pytest.raises(UsageError, match="`save"):
        check_apart([data], [Use(setting="save", path=images / "train" / "c", names=("*",))])


def test_a_run_may_go_on_from_its_own_file(tmp_path: Path) -> None:
    save = Use(setting="save", path=tmp_path, names=("checkpoint.pth.tar",))
    own = tmp_path / "checkpoint.pth.tar"
    check_apart([Use(setting="resume", path=own, own=True)], [save])
    with pytest.raises(UsageError):
        check_apart([Use(setting="teacher", path=own)], [save])


def test_devices_are_anybodys(netslim: Netslim, model: Path) -> None:
    assert netslim("info", model, "--json", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.slow
def test_standard_output_and_pipes_are_written_to(start: Callable[..., Any], tmp_path: Path, model: Path) -> None:
    """Standard output then has the data alone, for a program that reads it; the table is on standard error."""
    printing = start("info", model, "--json", "/dev/stdout")
    assert printing.wait() == 0, printing.err
    assert json.loads(printing.out)["file"] == str(model)
    assert "architecture" in printing.err
    os.mkfifo(tmp_path / "pipe")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()))
    reader.start()
    piping = start("info", model, "--json", tmp_path / "pipe")
    assert piping.wait() == 0, piping.err
    reader.join(10)
    assert json.loads(found[0])["file"] == str(model)
    assert (tmp_path / "pipe").is_fifo()


def test_where_data_goes_to_standard_output_people_read_standard_error(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["info", str(model), "--json", "/dev/stdout"])
    out, err = capfd.readouterr()
    assert json.loads(out)["file"] == str(model)
    assert "architecture" in err


def test_a_reader_that_leaves_ends_it_quietly(netslim: Netslim, model: Path) -> None:
    """As `| head` does."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert netslim("info", model, "--json", f"/dev/fd/{writer}") == (1, "")
    finally:
        os.close(writer)


def test_a_link_stays_a_link(netslim: Netslim, here: Path) -> None:
    Path("folder").mkdir()
    Path("link.json").symlink_to("folder/real.json")
    for _ in range(2):
        assert netslim("info", "m.pth.tar", "--json", "link.json").code == 0
        assert Path("link.json").is_symlink()
        assert json.loads(Path("folder/real.json").read_text())["file"] == "m.pth.tar"
    assert [path.name for path in Path("folder").iterdir()] == ["real.json"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("dangling", "is a link to"), ("loop", "it is a link that leads back to itself")],
)
def test_links_that_lead_nowhere(netslim: Netslim, here: Path, images: Path, name: str, message: str) -> None:
    Path("dangling").symlink_to("nowhere/folder")
    Path("loop").symlink_to("loop")
    code, err = netslim("train", "--dataset", "folder", "--data-dir", images, "--depth", 11, "--save", name)
    assert (code, err.count("\n")) == (1, 1)
    assert message in err


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def test_leftovers_of_killed_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead, alive, other = dead_process(), os.getppid(), tmp_path / f".other.tmp-{dead_process()}"
    for name in (f".x.tmp-{dead}", f".x.old-{dead}", f".x.tmp-{alive}"):
        (tmp_path / name).touch()
    other.touch()
    atomic_write(tmp_path / "x", b"new")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"x", f".x.tmp-{alive}", other.name}


def test_a_folder_that_was_set_aside_gets_its_name_back(netslim: Netslim, here: Path) -> None:
    """A process was killed after it had renamed the old export and before the new one had its name."""
    assert netslim("export", "m.pth.tar", "--target", "safetensors", "--output", "e").code == 0
    dead = dead_process()
    Path("e").rename(f".e.old-{dead}")
    recover(Path("e/model.safetensors"))
    assert Path("e/model.safetensors").is_file()
    Path("e").rename(f".e.old-{dead}")
    Path(f".e.tmp-{dead}").mkdir()
    assert netslim("export", "m.pth.tar", "--target", "safetensors", "--output", "e").code == 0
    assert not [path for path in here.iterdir() if path.name.startswith(".")]
    assert temporary_name(Path("e")).name == f".e.tmp-{os.getpid()}"
