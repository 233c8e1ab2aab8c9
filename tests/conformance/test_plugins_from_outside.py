"""One plug-in of every kind, in a package that is not netslim's, used from the command line.

They are the examples of CONTRIBUTING.md, each in a module of its own.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fresh_python import NETSLIM, FreshPython

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
EXAMPLE = re.compile(r"```python\n# src/netslim/[\w/]*/(\w+)\.py\n(.*?)```", re.DOTALL)


def install(folder: Path, name: str, entry_points: str) -> None:
    """What pip leaves of a package, without its modules."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    examples = dict(EXAMPLE.findall(CONTRIBUTING.read_text()))
    assert sorted(examples) == ["by_index", "noise", "nothing", "pickled", "ridge", "tiny", "zoo"]
    for name, source in examples.items():
        (folder / f"friends_{name}.py").write_text(source)
    points = [f"{name} = friends_{name}" for name in examples]
    install(folder, "friends", "\n".join(["[netslim.plugins]", *points]))
    return folder


IN_A_ROW = """
import contextlib, io, json, sys
from netslim.cli.app import main
ended = []
for line in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            code = main(line)
        except SystemExit as end:
            code = end.code
    ended.append((code or 0, said.getvalue()))
json.dump(ended, open("ended.json", "w"))
"""

LINES = {
    "train": "train --dataset noise --arch tiny -sr --penalty ridge --power 1.5 --s 0.01 --epochs 1 --batch-size 16 "
    "--save run --device cpu",
    "prune": "prune run/model_best.pth.tar --criterion by_index --percent 0.4 --recalibrate 0 --save pruned",
    "export": "export pruned/pruned.pth.tar --target pickled",
    "bench": "bench pruned/pruned.pkl --engines unpickled --batch-sizes 1 --seconds 0.05 --no-memory --json bench.json "
    "--save bench",
    "transfer": "transfer --source zoo --model-name resnet10 --arch same --dataset noise --recalibrate 0 "
    "--strategy nothing --json moved.json",
    "of another penalty": "train -sr --power 3 --save not",
    "too low": "train -sr --penalty ridge --power 0.5 --save not",
}


@pytest.fixture(scope="module")
def here(site: Path, fresh_python: FreshPython, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the command lines ran one after the other, in one process that knows the plug-ins."""
    folder = tmp_path_factory.mktemp("here")
    typed = json.dumps([line.split() for line in LINES.values()])
    done = fresh_python(IN_A_ROW, folder=folder, path=[site], typed=typed)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


def ended(here: Path, *names: str) -> list[tuple[int, str]]:
    """Exit code and standard error of command lines."""
    found = dict(zip(LINES, json.loads((here / "ended.json").read_text()), strict=True))
    return [tuple(found[name]) for name in names]


@pytest.mark.slow
def test_train_prune_export_and_bench(here: Path) -> None:
    for code, said in ended(here, "train", "prune", "export", "bench"):
        assert code == 0, said
        assert "warning: plug-in" not in said
    recorded = json.loads((here / "run" / "run.json").read_text())
    assert recorded["config"]["power"] == 1.5
    plan = json.loads((here / "pruned" / "plan.json").read_text())
    assert plan["groups"] == [{"name": "norm", "total": 8, "keep": [0, 1, 2, 3]}]
    assert [row["engine"] for row in json.loads((here / "bench.json").read_text())["rows"]] == ["unpickled"]


def test_transfer_from_a_library(here: Path) -> None:
    ((code, said),) = ended(here, "transfer")
    assert code == 0, said
    assert (here / "transferred_model.pth.tar").is_file()
    assert json.loads((here / "moved.json").read_text())["mapped"] == 0


def test_an_option_belongs_to_its_penalty(here: Path) -> None:
    assert ended(here, "of another penalty", "too low") == [
        (2, "netslim: error: --power 3.0: penalty l1 has none: type --penalty ridge with it\n"),
        (2, "netslim: error: --power 0.5: input should be greater than or equal to 1\n"),
    ]
    assert not (here / "not").exists()


HELP = """
import contextlib, io, json, sys
from netslim.cli.app import main
texts = {}
for verb in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        main([verb, "--help"])
    texts[verb] = said.getvalue()
    assert "torch" not in sys.modules, verb
    assert not any(name.startswith("friends_") for name in sys.modules), verb
json.dump(texts, sys.stdout)
"""


def test_help_has_the_plug_ins_and_imports_none_of_them(site: Path, tmp_path: Path) -> None:
    wanted = {
        "train": ["noise", "tiny", "zoo/NAME", "ridge (any power)", "--power", "ridge: the power of each scale"],
        "prune": ["by_index"],
        "transfer": ["zoo", "nothing"],
        "export": ["pickled (for friends)", ".pkl"],
        "bench": ["unpickled", ".pkl"],
    }
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    line = [sys.executable, "-c", HELP, *wanted]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    for verb, text in json.loads(done.stdout).items():
        assert [word for word in wanted[verb] if word not in " ".join(text.split())] == [], verb


def test_a_plug_in_that_can_not_be_imported_is_named_and_left_out(fresh_python: FreshPython, tmp_path: Path) -> None:
    (tmp_path / "hole.py").write_text("import no_such_module_anywhere\n")
    install(tmp_path, "holes", "[netslim.plugins]\nholes = hole\n")
    words = ("train", "--dataset", "digit", "--save", "run")
    done = fresh_python(NETSLIM, *words, folder=tmp_path, path=[tmp_path])
    warning, error = done.stderr.splitlines()
    assert warning == (
        "netslim: warning: plug-in 'holes' is left out, its module hole can't be imported (ModuleNotFoundError: "
        "No module named 'no_such_module_anywhere'); repair or uninstall it"
    )
    assert error.startswith("netslim: error: unknown data set 'digit'; did you mean digits?")
    assert done.returncode == 2
