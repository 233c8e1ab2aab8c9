"""Whatever is in a file or on the command line: one class of error, one line, the right code, bounded memory."""

import copy
import io
import json
import os
import random
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzing import command_line, damaged, twisted
from verb_lines import verbs

from netslim.cli.app import VERBS
from netslim.cli.config_file import merge
from netslim.core.archive import read_archive
from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.network import load
from netslim.pruning.plan_data import read_plan
from netslim.stages.stage import Stage

Netslim = Callable[..., Any]
QUICK, MANY = 100, 3_500  # of each kind; three kinds are 300 and over 10,000


@pytest.fixture(scope="module")
def finished(images: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished training and a pruned network."""
    from netslim.cli.app import main

    out = tmp_path_factory.mktemp("finished")
    for verb in ("train", "prune"):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in verbs(images, model, out)[verb]])
        assert not ended.value.code
    return out


many = pytest.mark.parametrize("count", [QUICK, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])


@many
def test_bytes_of_a_checkpoint(finished: Path, tmp_path: Path, count: int) -> None:
    source, path = random.Random(1), tmp_path / "x.pth.tar"  # noqa: S311
    whole = (finished / "prune/pruned.pth.tar").read_bytes()
    right = load(finished / "prune/pruned.pth.tar").state_dict()
    for _ in range(count):
        path.write_bytes(damaged(whole, source))
        with suppress(CheckpointError):
            found = load(path).state_dict()
            assert all(torch.equal(found[key], right[key]) for key in right)  # right, or refused


@many
def test_values_in_a_checkpoint(finished: Path, tmp_path: Path, count: int) -> None:
    source, path = random.Random(2), tmp_path / "x.pth.tar"  # noqa: S311
    data = read_archive(finished / "prune/pruned.pth.tar")
    for _ in range(count):
        twist = (
            {**data, "netslim": twisted(data["netslim"], source)} if source.random() < 0.7 else twisted(data, source)
        )
        buffer = io.BytesIO()
        try:
            torch.save(twist, buffer)
        except (RecursionError, UnicodeError):  # can't be written, either
            continue
        path.write_bytes(buffer.getvalue())
        with suppress(CheckpointError):
            load(path)


@many
def test_plans_and_settings(finished: Path, tmp_path: Path, count: int) -> None:
    source, path = random.Random(3), tmp_path / "plan.json"  # noqa: S311
    whole = (finished / "prune/plan.json").read_bytes()
    for _ in range(count):
        if source.random() < 0.5:
            path.write_bytes(damaged(whole, source))
        else:
            try:
                path.write_text(json.dumps(twisted(json.loads(whole), source)))
            except (TypeError, ValueError, RecursionError):
                continue
        with suppress(CheckpointError):
            read_plan(path)
        toml = tmp_path / "x.toml"
        toml.write_bytes(damaged(b'lr = 0.3\nepochs = 7\nsave = "there"\nmodel = [1, [2, {a = 1}]]\n', source))
        with suppress(UsageError):
            merge(toml, [], {})


def rerun(netslim: Netslim, images: Path, model: Path, out: Path) -> None:
    code, err = netslim(*verbs(images, model, out)["train"])
    assert code in (0, 1, 2), err
    said = [line for line in err.splitlines() if "too few for BatchNorms'" not in line]  # it is a short training
    assert len(said) == (code != 0), err
    assert "run with --debug" not in err, err


@pytest.mark.parametrize("count", [12, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl"])
def test_the_records_of_a_run(
    netslim: Netslim, finished: Path, images: Path, model: Path, tmp_path: Path, name: str, count: int
) -> None:
    source, out = random.Random(4), tmp_path / "out"  # noqa: S311
    (out / "train").mkdir(parents=True)
    for number in range(count):
        for file in (finished / "train").iterdir():
            (out / "train" / file.name).write_bytes(file.read_bytes())
        target = out / "train" / name
        whole = target.read_bytes()
        try:
            changed = (
                json.dumps(twisted(json.loads(whole), source)).encode() if number % 2 and name == "run.json" else None
            )
        except (TypeError, ValueError, RecursionError):
            changed = None
        target.write_bytes(changed or damaged(whole, source))
        rerun(netslim, images, model, out)


@pytest.mark.parametrize("count", [60, pytest.param(1_500, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_command_lines(
    netslim: Netslim, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """They end with 0, 1 or 2, and with one line where it is netslim that complains; training itself is left out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Stage, "run", lambda self, config: {})
    source = random.Random(5)  # noqa: S311
    own = tmp_path / "model.pth.tar"  # some lines write to it, as they say
    own.write_bytes(model.read_bytes())
    paths = [str(own), ".", "/dev/zero", "/dev/null", "missing", "", "\x01", "x" * 300, "/proc/self/mem", "/"]
    flags = {
        name: [f"--{field.replace('_', '-')}" for field in verb.stage.settings().model_fields]
        + ["--json", "--config", "--set"]
        for name, verb in VERBS.items()
    }
    for _ in range(count):
        line = command_line(flags, paths, source)
        code, err = netslim(*line)
        assert code in (0, 1, 2), (line, err)
        assert "Traceback" not in err, (line, err)
        assert "run with --debug" not in err, (line, err)
        if err.startswith("netslim: error"):
            assert err.count("\n") == 1, (line, err)


def deep(text: str) -> str:
    return text * 10_000


HOSTILE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(10_000)),
    "html": lambda path: path.write_text("<!DOCTYPE html>" * 100),
    "text": lambda path: path.write_text("hello\n"),
    "json": lambda path: path.write_text("{}"),
    "deep json": lambda path: path.write_text(deep("[")),
    "half a zip": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
    "end of a zip": lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)),
    "fifo": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "terminal": lambda path: path.symlink_to("/dev/tty"),
    "loop": lambda path: path.symlink_to(path),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "memory": lambda path: path.symlink_to("/proc/self/mem"),
    "directory": lambda path: path.symlink_to("/"),
    "missing": lambda path: None,
    "list": lambda path: torch.save([1, 2], path),
    "tensor": lambda path: torch.save(torch.ones(3), path),
    "no weights": lambda path: torch.save({"epoch": 1}, path),
    "empty weights": lambda path: torch.save({"state_dict": {}}, path),
    "weights of words": lambda path: torch.save({"state_dict": {"a": "b"}}, path),
    "sparse": lambda path: torch.save({"state_dict": {"a": torch.eye(3).to_sparse()}}, path),
    "meta": lambda path: torch.save({"state_dict": {"a": torch.ones(2, device="meta")}}, path),
    "expanded": lambda path: torch.save({"state_dict": {"a": torch.ones(1).expand(2**40)}}, path),
    "module": lambda path: torch.save({"state_dict": torch.nn.Linear(2, 2)}, path),
    "strange keys": lambda path: torch.save({"state_dict": {"\x00": torch.ones(1), "": torch.ones(1)}}, path),
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "20 million classes": {"name": "resnet", "arguments": {"depth": 11, "num_classes": 20_000_000, "in_channels": 1}},
    "9 million classes": {"name": "resnet", "arguments": {"depth": 11, "num_classes": 9_999_999, "in_channels": 1}},
    "depth": {"name": "resnet", "arguments": {"depth": 9 * 10**8 + 2}},
    "deep": {"name": "vgg", "arguments": {"depth": 1999}},
    "lists": {"name": "resnet", "arguments": {"depth": [11], "num_classes": [2]}},
    "words": {"name": "resnet", "arguments": {"depth": "eleven"}},
    "negative": {"name": "resnet", "arguments": {"depth": 11, "num_classes": -1}},
    "cfg of words": {"name": "resnet", "arguments": {"depth": 11, "cfg": ["a"] * 12}},
    "wide cfg": {"name": "vgg", "arguments": {"depth": 11, "cfg": [9_000_000] * 8}},
    "unknown": {"name": "resnext", "arguments": {}},
    "unknown argument": {"name": "resnet", "arguments": {"code": "import os"}},
    "path": {"name": "torchvision/../../x", "arguments": {}},
    "import": {"name": "timm/hf-hub:someone/something", "arguments": {}},
    "no name": {"name": "", "arguments": {}},
}


def with_architecture(arch: dict[str, Any]) -> Callable[[Path], object]:
    data = {"state_dict": {"a": torch.ones(2)}, "netslim": {"format": 1, "arch": copy.deepcopy(arch)}}
    return lambda path: torch.save(data, path)


KINDS = HOSTILE | {f"arch: {name}": with_architecture(arch) for name, arch in ARCHITECTURES.items()}


@pytest.mark.parametrize("kind", list(KINDS))
def test_hostile_files(netslim: Netslim, tmp_path: Path, kind: str) -> None:
    """41 kinds: refused in one line with exit code 1, and with less than 2 GB of memory more."""
    path = tmp_path / "x.pth.tar"
    KINDS[kind](path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, err = netslim("info", path)
    assert (code, err.count("\n")) == (1, 1), err
    assert err.startswith("netslim: error: ")
    assert "run with --debug" not in err
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * 2**20


def test_there_are_forty_kinds() -> None:
    assert len(KINDS) >= 40
    assert issubclass(CheckpointError, NetslimError)
