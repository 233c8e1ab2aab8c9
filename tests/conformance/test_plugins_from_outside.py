"""One plug-in of every kind, in a package that is not netslim's, used from the command line.

They are the examples of CONTRIBUTING.md, each in a module of its own.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

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


def python(site: Path, cwd: Path, *arguments: object, typed: str = "") -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    line = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        line, cwd=cwd, env=environment, input=typed, capture_output=True, text=True, check=False, timeout=110
    )


IN_A_ROW = """
import json, sys
from netslim.cli.app import main
for line in json.load(sys.stdin):
    try:
        code = main(line)
    except SystemExit as end:
        code = end.code
    if code:
        sys.exit(code)
"""


def netslim(site: Path, cwd: Path, *lines: Sequence[object]) -> None:
    """Command lines one after the other, in one process that knows the plug-ins."""
    typed = json.dumps([[str(word) for word in line] for line in lines])
    done = python(site, cwd, "-c", IN_A_ROW, typed=typed)
    assert done.returncode == 0, done.stderr
    assert "warning: plug-in" not in done.stderr


def test_train_prune_export_and_bench(site: Path, tmp_path: Path) -> None:
    train = ("train", "--dataset", "noise", "--arch", "tiny", "-sr", "--penalty", "ridge", "--power", 1.5)
    train += ("--s", 0.01, "--epochs", 1, "--batch-size", 16, "--save", "run", "--device", "cpu")
    prune = ("prune", "run/model_best.pth.tar", "--criterion", "by_index", "--percent", 0.4, "--recalibrate", 0)
    prune += ("--save", "pruned")
    export = ("export", "pruned/pruned.pth.tar", "--target", "pickled")
    bench = (
        "bench",
        "pruned/pruned.pkl",
        "--engines",
        "unpickled",
        "--batch-sizes",
        1,
        "--seconds",
        0.05,
        "--no-memory",
    )
    bench += ("--json", "bench.json", "--save", "bench")
    netslim(site, tmp_path, train, prune, export, bench)
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())
    assert recorded["config"]["power"] == 1.5
    plan = json.loads((tmp_path / "pruned" / "plan.json").read_text())
    assert plan["groups"] == [{"name": "norm", "total": 8, "keep": [0, 1, 2, 3]}]
    assert [row["engine"] for row in json.loads((tmp_path / "bench.json").read_text())["rows"]] == ["unpickled"]


def test_transfer_from_a_library(site: Path, tmp_path: Path) -> None:
    transfer = ("transfer", "--source", "zoo", "--model-name", "resnet10", "--arch", "same", "--dataset", "noise")
    netslim(site, tmp_path, (*transfer, "--recalibrate", 0, "--strategy", "nothing", "--json", "moved.json"))
    assert (tmp_path / "transferred_model.pth.tar").is_file()
    assert json.loads((tmp_path / "moved.json").read_text())["mapped"] == 0


def test_help_has_the_plug_ins_and_imports_none_of_them(site: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom netslim.cli.app import main\n"
        "try:\n    main([sys.argv[1], '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit('torch' in sys.modules or any(name.startswith('friends_') for name in sys.modules))"
    )
    for verb, words in {
        "train": [
            "noise",
            "tiny",
            "zoo/NAME",
            "ridge (any power)",
            "--power",
            "ridge: the power of each scale",
        ],
        "prune": ["by_index"],
        "transfer": ["zoo", "nothing"],
        "export": ["pickled (for friends)", ".pkl"],
        "bench": ["unpickled", ".pkl"],
    }.items():
        done = python(site, tmp_path, "-c", program, verb)
        assert done.returncode == 0, (verb, done.stderr)
        text = " ".join(done.stdout.split())
        assert [word for word in words if word not in text] == [], verb


def test_an_option_belongs_to_its_penalty(site: Path, tmp_path: Path) -> None:
    for flags, said in (
        (["-sr", "--power", 3], "--power 3.0: penalty l1 has none: type --penalty ridge with it"),
        (["-sr", "--penalty", "ridge", "--power", 0.5], "--power 0.5: input should be greater than or equal to 1"),
    ):
        done = python(site, tmp_path, "-m", "netslim", "train", *flags, "--save", "run")
        assert (done.returncode, done.stderr) == (2, f"netslim: error: {said}\n")


def test_a_plug_in_that_can_not_be_imported_is_named_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "hole.py").write_text("import no_such_module_anywhere\n")
    install(tmp_path, "holes", "[netslim.plugins]\nholes = hole\n")
    done = python(tmp_path, tmp_path, "-m", "netslim", "train", "--dataset", "digit", "--save", "run")
    warning, error = done.stderr.splitlines()
    assert warning == (
        "netslim: warning: plug-in 'holes' is left out, its module hole can't be imported (ModuleNotFoundError: "
        "No module named 'no_such_module_anywhere'); repair or uninstall it"
    )
    assert error.startswith("netslim: error: unknown data set 'digit'; did you mean digits?")
    assert done.returncode == 2
