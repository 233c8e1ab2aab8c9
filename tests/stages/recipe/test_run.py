"""`netslim recipe`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.recipe.config import RecipeConfig
from netslim.stages.recipe.run import run
from netslim.stages.slim.recipe import read_recipe


def test_new_check_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "my.toml"
    made = run(RecipeConfig(action="new", file=file, dataset="digits", depth=20, target_macs="0.3"))
    assert read_recipe(file).to_dict() == made
    assert run(RecipeConfig(action="check", file=file)) == made
    assert f"{file}: 3 steps without a mistake (dense, prune, tune)" in capsys.readouterr().out
    run(RecipeConfig.build({"action": "show", "file": file, "prune.target_latency": "3ms", "save": "r"}))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("netslim prune r/01-dense/model_best.pth.tar ")
    assert "`target_latency='3ms'`" in lines[1]
    assert "target_macs" not in lines[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "type netslim recipe new FILE, netslim recipe check FILE or netslim recipe show FILE"),
        ({"action": "nw", "file": "x"}, "unknown action 'nw'; did you mean new? (known: check, new, show)"),
        (
            {"action": "new", "file": "there.toml", "dataset": "digits"},
            "there.toml is there already: type another name",
        ),
        ({"action": "new", "file": "x.toml"}, "type `dataset=NAME`"),
        ({"action": "new", "file": "x.toml", "dataset": "digits", "depth": "deep"}, "`depth='deep'`: input should be"),
        ({"action": "check", "file": "no.toml"}, "cannot read the recipe no.toml: No such file or directory"),
    ],
)
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.toml").write_text("x")
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        run(RecipeConfig.build(given))
    assert {path.name for path in tmp_path.iterdir()} == {"there.toml"}


def test_what_is_only_written_or_shown_loads_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom netslim.stages.recipe.config import RecipeConfig\n"
        "from netslim.stages.recipe.run import run\n"
        "run(RecipeConfig(action='new', file=Path('x.toml'), dataset='digits'))\n"
        "run(RecipeConfig(action='show', file=Path('x.toml')))\nsys.exit('torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=False, timeout=60)
    assert done.returncode == 0
