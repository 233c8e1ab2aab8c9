"""What the documents promise: commands that parse, recipes that are valid, tables that are made from the results."""

import importlib.util
import re
import shlex
import tomllib
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from netslim.cli.config_file import merge
from netslim.cli.scripts import translate
from netslim.cli.verbs import VERBS
from netslim.core.config import StageConfig
from netslim.core.errors import NetslimWarning
from netslim.stages.train.config import TrainConfig

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = [path.name for folder in (ROOT, ROOT / "src" / "netslim") for path in folder.glob("[a-z]*/")]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


def load_program(name: str) -> ModuleType:
    """A program of `benchmarks/` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands_in(document: str) -> list[list[str]]:
    """The shell commands in a document's `bash` blocks, with continued lines joined."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def accepts(arguments: list[str]) -> StageConfig:
    """The configuration that `netslim ARGUMENTS` runs with; raises if the command line would refuse it."""
    verb, *rest = arguments
    config_class = VERBS[verb].settings()
    values: dict[str, Any] = {}
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            positional = VERBS[verb].positional[0]
            values[positional] = [*values.get(positional, []), word] if positional in ("files", "folders") else word
            continue
        name = {"-sr": "sparsity_regularization"}.get(word, word.removeprefix("--").replace("-", "_"))
        value: object = True
        if name.startswith("no_"):
            name, value = name.removeprefix("no_"), False
        elif rest and not rest[0].startswith("-"):
            value = rest.pop(0)
        if name != "json":
            values[name] = value
    config: StageConfig = config_class.build(values)
    return config


def test_readme_commands_are_accepted() -> None:
    commands = commands_in("README.md")
    scripts = [words[1:] for words in commands if words[0] == "python"]
    verbs = [words[1:] for words in commands if words[0] == "netslim"]
    assert len(scripts) == 5
    assert len(verbs) == 15
    for script, *arguments in scripts:
        accepts(translate(script, arguments))
    for arguments in verbs:
        accepts(arguments)


def test_the_readmes_way_in_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NetslimWarning)
        exec(program, space)  # noqa: S102  (as a reader types it)
    assert {path.name for path in tmp_path.iterdir()} == {"small.pth.tar", "small.onnx"}
    assert space["plan"].after.macs == pytest.approx(0.5 * space["plan"].before.macs, rel=0.01)


def test_the_ten_lines_run_and_the_other_snippets_are_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ten, rounds, *others = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "own_loop.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"train": lambda *_: None}
    torch.manual_seed(0)
    exec(ten, space)  # noqa: S102  (as a reader types it)
    assert space["plan"].after.macs == pytest.approx(0.5 * space["plan"].before.macs, rel=0.01)
    space["optimizer"] = torch.optim.AdamW(space["model"].parameters())
    exec(rounds, space)  # noqa: S102
    assert space["plan"].percent == 0.5
    for snippet in others:
        compile(snippet, "own_loop.md", "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_modules_that_documents_name_exist(document: Path) -> None:
    """Paths between backticks, from the root or from src/netslim, and dotted names of netslim in examples."""
    text = document.read_text()
    for path in re.findall(
        r"`((?:src|tests|docs|benchmarks|recipes|results|core|models|data|pruning|deploy|training)/[\w/.]+)`", text
    ):
        assert (ROOT / path).exists() or (ROOT / "src" / "netslim" / path).exists(), path
    for module in re.findall(r"^(?:from|import) (netslim\S*)", text, re.MULTILINE):
        assert importlib.util.find_spec(module), module


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for words in commands_in("README.md"):
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_valid(recipe: Path) -> None:
    config = TrainConfig.build(merge(recipe, [], {"save": "x"}))
    assert config.model_dump(include=set(tomllib.loads(recipe.read_text()))) == tomllib.loads(recipe.read_text())


@pytest.mark.parametrize("document", load_program("readme_tables").DOCUMENTS)
def test_tables_are_made_from_the_results(document: str) -> None:
    text = (ROOT / document).read_text()
    assert load_program("readme_tables").with_tables(text) == text


def test_a_table_gives_mean_and_standard_deviation() -> None:
    tables = load_program("readme_tables")
    assert tables.spread([97.0, 98.0, 99.0]) == "98.00 ± 1.00"
    assert tables.spread([5.0, 5.0], 0) == "5"
    assert tables.markdown(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
