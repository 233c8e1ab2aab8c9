"""What the documents promise: commands that parse, recipes that are valid, tables that are made from the results."""

import importlib.util
import re
import shlex
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from netslim.cli.scripts import translate
from netslim.cli.verbs import VERBS
from netslim.core.config import StageConfig
from netslim.core.errors import NetslimWarning
from netslim.stages.recipe.config import RecipeConfig
from netslim.stages.recipe.run import run as run_recipe
from netslim.stages.slim.recipe import read_recipe
from netslim.stages.slim.settings import planned

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = [path.name for folder in (ROOT, ROOT / "src" / "netslim") for path in folder.glob("[a-z]*/")]
RECIPES = sorted((ROOT / "recipes").rglob("*.toml"))


def load_program(name: str) -> ModuleType:
    """A program of `benchmarks/` as a module; what it shares with others lies beside it."""
    if str(ROOT / "benchmarks") not in sys.path:
        sys.path.append(str(ROOT / "benchmarks"))
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
    config_class = VERBS[verb].stage.settings()
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
    assert len(verbs) == 3
    verbs += [words[1:] for words in commands_in("docs/workflow.md") if words[0] == "netslim"]
    assert len(verbs) == 12
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
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        assert (document.parent / link).is_file(), f"{link}: the site needs a file, not a folder"
    for module in re.findall(r"^(?:from|import) (netslim\S*)", text, re.MULTILINE):
        assert importlib.util.find_spec(module), module


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for words in commands_in("README.md"):
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_valid(recipe: Path) -> None:
    run_recipe(RecipeConfig(action="check", file=recipe))


def test_the_guides_recipe_does_what_its_commands_do() -> None:
    """Settings of the five commands in the README, as the scripts are translated, against those of the steps."""
    recipe = read_recipe(ROOT / "recipes" / "guide.toml")
    steps = planned(recipe, {step.name: Path(step.name) for step in recipe.steps})
    commands = [words[1:] for words in commands_in("README.md") if words[0] == "python"]
    for each, (script, *arguments) in zip(steps, commands, strict=True):
        files = {use.setting for use in (*each.config.reads(), *each.config.writes())}
        free = {"save", "depth", "arch", *files}  # the file says what the network is
        guide = accepts(translate(script, arguments))
        names = type(guide).model_fields.keys() - free
        assert {name: getattr(guide, name) for name in names} == {name: getattr(each.config, name) for name in names}


@pytest.mark.parametrize("document", load_program("readme_tables").DOCUMENTS)
def test_tables_are_made_from_the_results(document: str) -> None:
    text = (ROOT / document).read_text()
    assert load_program("readme_tables").with_tables(text) == text


def accuracy_row(way: str, epochs: int, top1: float, *, seed: int = 1, rate: float = 0.03, before: int = 0) -> Any:
    """A row of `results/real.csv`, as it is read; the held-out images are recognised a point more often."""
    row = {"network": "n", "way": way, "share": 0.33, "epochs": epochs, "before": before, "seed": seed, "top1": top1}
    tuned = {"teacher": False, "rate": rate} if epochs else {"teacher": "", "rate": ""}
    return {key: str(value) for key, value in {**row, **tuned, "held_out": top1 + 0.01}.items()}


ACCURACIES = [
    accuracy_row("netslim", 0, 0.6), accuracy_row("original rule", 0, 0.1),
    accuracy_row("netslim", 1, 0.8), accuracy_row("netslim", 1, 0.84, seed=2),
    accuracy_row("netslim", 1, 0.7, rate=0.1),
    accuracy_row("original rule", 1, 0.74), accuracy_row("original rule", 1, 0.8, rate=0.1),
    accuracy_row("original rule", 5, 0.81), accuracy_row("original rule, sparsity", 5, 0.83, before=2),
]  # fmt: skip


def test_curves_are_at_the_rate_that_is_best_on_held_out_images_in_the_mean_of_two_ways() -> None:
    rows = load_program("real_rows")
    assert rows.chosen_rate(ACCURACIES, "n") == 0.03  # 0.8 and 0.74 against 0.7 and 0.8
    found = rows.curves(ACCURACIES, "n", 0.33, teacher=False)
    assert found["netslim"].top1 == {0: [0.6], 1: [0.8, 0.84]}
    assert found["original rule"].top1 == {0: [0.1], 1: [0.74], 5: [0.81]}
    assert rows.curves(ACCURACIES, "n", 0.33, teacher=True) == {}  # nothing was fine-tuned in that way


def test_epochs_before_a_cut_count_in_the_comparison_with_peers() -> None:
    rows = load_program("real_rows")
    found = rows.curves(ACCURACIES, "n", 0.33, teacher=False)
    ahead, peer = rows.lead(found, 1)
    assert (round(ahead, 4), peer) == (0.08, "original rule")
    assert rows.lead(found, 5) is None  # netslim has none there
    assert rows.epochs_until(found, 0.82) == (7, "original rule, sparsity")
    assert rows.epochs_until(found, 0.9) is None


def test_a_transfers_curve_is_at_its_own_rate_and_led_by_scratch() -> None:
    rows, made = load_program("transfer_rows"), list[dict[str, Any]]()
    for start, rate, epochs, seed, top1 in [
        ("scratch", 0.1, 1, 1, 0.5), ("scratch", 0.3, 1, 1, 0.4), ("scratch", 0.1, 1, 2, 0.52),
        ("select", 0.1, 1, 1, 0.6), ("select", 0.03, 1, 1, 0.7), ("select", 0.03, 3, 1, 0.8),
    ]:  # fmt: skip
        made.append({"start": start, "rate": rate, "epochs": epochs, "seed": seed, "top1": top1, "held_out": top1})
    assert rows.curve(made, "select") == {1: [0.7], 3: [0.8]}
    assert {start: round(ahead, 4) for start, ahead in rows.leads(made, 1).items()} == {"select": 0.2, "scratch": 0.0}
    assert rows.leads(made, 3) == {}


def test_a_table_gives_mean_and_standard_deviation() -> None:
    tables = load_program("readme_tables")
    assert tables.spread([97.0, 98.0, 99.0]) == "98.00 ± 1.00"
    assert tables.spread([5.0, 5.0], 0) == "5"
    assert tables.markdown(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
