"""The command to go on with: it can be pasted, also after a script, and with spaces in its paths."""

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netslim.cli import scripts
from netslim.cli.next_command import netslim_command, writing
from netslim.cli.scripts import installed_name, run_installed, script_command

Netslim = Callable[..., Any]
SOURCE = ["--model-name", "resnet18", "--no-pretrained", "--depth", "11"]
SMALL = ["--epochs", "1", "--batch-size", "8", "--device", "cpu", "--precision", "fp32"]


def last(out: str) -> list[str]:
    return shlex.split(out.splitlines()[-1])


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with images in a folder whose name has a space."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["netslim"])
    shutil.copytree(folder, tmp_path / "my data")
    return tmp_path


def test_each_command_leads_to_the_next(netslim: Netslim, here: Path) -> None:
    data = ["--data-dir", "my data", "--image-size", "10", "--unverified-data"]
    typed = ["transfer", *SOURCE, "--dataset", "folder", *data, "--output", "a b.pth.tar", "--device", "cpu"]
    said = []
    for _ in range(5):
        ended = netslim(*typed)
        assert ended.code == 0, ended.err
        words = last(ended.out)
        said.append(ended.out.splitlines()[-2])
        if words[0] != "netslim":
            break
        assert words[words.index("--data-dir") + 1] == "my data"
        assert words[words.index("--image-size") + 1] == "10"
        assert "--unverified-data" in words
        typed = [*words[1:], *(SMALL if words[1] == "train" else [])]
    assert said[:4] == [
        "next, fine-tune it before pruning:",
        "next, train it with sparsity:",
        "next, prune it:",
        "next, fine-tune the small network:",
    ]
    assert (here / "final_model/model_best.pth.tar").exists()
    assert words[0] != "netslim"  # nothing is left to do


def test_a_folder_that_is_in_use_is_not_named(netslim: Netslim, here: Path) -> None:
    (here / "fine_tuned_model").mkdir()
    ended = netslim("transfer", *SOURCE, "--dataset", "digits", "--recalibrate", 0)
    assert last(ended.out)[-2:] == ["--save", "./fine_tuned_model_2"]


def test_without_a_data_set_its_name_is_left_open(netslim: Netslim, here: Path) -> None:
    ended = netslim("transfer", "--model-name", "resnet18", "--no-pretrained", "--arch", "same", "--output", "s.tar")
    assert last(ended.out) == shlex.split("netslim train --resume s.tar --dataset NAME --save ./fine_tuned_model")


def test_several_processes_go_on_as_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert netslim_command("train", {"lr": 0.1}, {}) == "torchrun --nproc-per-node 2 -m netslim train --lr 0.1"
    monkeypatch.setattr(sys, "argv", ["netslim"])
    assert netslim_command("prune", {"model": "a b"}, {}) == "netslim prune 'a b'"


def test_as_a_module_it_is_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/netslim/__main__.py"])
    assert netslim_command("train", {"absorb": False}, {}) == "python -m netslim train --no-absorb"


@pytest.mark.parametrize(
    ("verb", "settings", "network", "command"),
    [
        (
            "train",
            {"resume": "a b", "dataset": "cifar10", "save": "x"},
            {"arch": "resnet", "depth": 164},
            "python main.py --resume 'a b' --dataset cifar10 --save x --arch resnet --depth 164",
        ),
        (
            "train",
            {"sparsity_regularization": True, "s": 1e-5, "refine": "a", "device": "cpu", "unverified_data": True},
            {"arch": "timm/resnet18", "stem": "cifar"},
            "python main.py -sr --s 1e-05 --refine a --unverified-data --arch timm/resnet18 --stem cifar --no-cuda",
        ),
        ("prune", {"model": "a"}, {"arch": "vgg", "depth": 16}, "python vggprune.py --model a --depth 16"),
        ("prune", {"model": "a"}, {"arch": "timm/resnet18"}, "python resprune.py --model a"),
        ("prune", {"model": "a", "arch": "a.py:net"}, {}, "python resprune.py --model a --arch a.py:net"),
        ("prune", {"model": "a"}, {"arch": "densenet", "depth": 40}, "python denseprune.py --model a --depth 40"),
        ("train", {"resume": "a", "image_size": 32}, {"arch": "resnet"}, None),
    ],
)
def test_after_a_script_it_is_a_script(
    verb: str, settings: dict[str, Any], network: dict[str, Any], command: str | None
) -> None:
    assert script_command(verb, settings, network, program=lambda _, script: ["python", script]) == command


def test_what_writes_commands_is_put_back(netslim: Netslim, here: Path) -> None:
    typed = ["transfer", *SOURCE, "--dataset", "digits", "--recalibrate", 0, "--output", "o.tar"]
    with writing(lambda *_: "typed by hand"):
        assert netslim(*typed).out.splitlines()[-1] == "  typed by hand"
    assert last(netslim(*typed).out)[0] == "netslim"


@pytest.mark.parametrize(("started", "first"), [("main.py", "python main.py"), ("s/main.py", "python s/main.py")])
def test_the_guides_script_leads_to_the_guides_script(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], started: str, first: str
) -> None:
    program = started.replace("main.py", "transfer_weights.py")
    monkeypatch.setattr(sys, "argv", [program, *SOURCE, "--dataset", "digits", "--recalibrate", "0", "--output", "o"])
    with pytest.raises(SystemExit) as ended:
        scripts.run("transfer_weights.py")
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"  {first} --resume o --dataset digits --save ./fine_tuned_model --arch resnet --depth 11"
    )


def test_an_installed_command_leads_to_an_installed_command(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*SOURCE, "--dataset", "digits", "--recalibrate", "0", "--output", "o"]
    monkeypatch.setattr(sys, "argv", ["/bin/netslim-transfer-weights", *words])
    with pytest.raises(SystemExit) as ended:
        run_installed()
    assert ended.value.code == 0
    assert last(capsys.readouterr().out)[:3] == ["netslim-main", "--resume", "o"]


@pytest.mark.parametrize("script", ["main.py", "resprune.py", "vggprune.py", "denseprune.py", "transfer_weights.py"])
def test_every_script_is_installed_as_a_command(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"][installed_name(script)] == "netslim.cli.entry:installed_script"
    monkeypatch.setattr(sys, "argv", [f"/bin/{installed_name(script)}", "--help"])
    with pytest.raises(SystemExit) as ended:
        run_installed()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {installed_name(script)} ")


def test_a_file_in_a_folder_that_begins_like_a_flag_is_no_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["netslim"])
    assert netslim_command("prune", {"model": Path("-x/a.pth.tar")}, {}) == "netslim prune ./-x/a.pth.tar"
