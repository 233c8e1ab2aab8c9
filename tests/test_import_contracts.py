"""What the import contracts of pyproject.toml can't say: no circles at all, and what rooms may import and name."""

import ast
import functools
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

import netslim
from netslim.cli.verbs import VERBS

ROOT = Path(netslim.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# Libraries that take long to import, and the modules that need them.
HEAVY = {
    "torchvision": {"netslim.models.libraries.torchvision"},
    "timm": {"netslim.models.libraries.timm"},
    "sklearn": {"netslim.data.digits"},
    "onnx": {"netslim.deploy", "netslim.models.onnx_import"},
    "onnxruntime": {"netslim.deploy"},
    "matplotlib": {"netslim.report.figures"},
    "typer": {"netslim.cli"},
    "lightning": {"netslim.integrations.lightning"},
    "transformers": {"netslim.integrations.hugging_face"},
}


@functools.cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def module_of(file: Path) -> str:
    """The dotted name of a file of netslim."""
    return ".".join(("netslim", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def imports_in(tree: ast.AST) -> Iterator[str]:
    """Dotted names of what is imported anywhere inside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


@functools.cache
def packages_of(file: Path) -> set[str]:
    """The packages that a file imports from."""
    return {name.partition(".")[0] for name in imports_in(parsed(file))}


def strings_in(file: Path) -> Iterator[str]:
    """Every string that a file spells, docstrings included."""
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_there_are_no_circles() -> None:
    graph = grimp.build_graph("netslim", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(list(TopologicalSorter(imports).static_order())) == len(FILES)


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.parent != ROOT / "cli" and file != ROOT / "__init__.py"]
)
def test_no_import_of_netslim_is_for_the_type_checker_alone(file: Path) -> None:
    blocks = [node for node in ast.walk(parsed(file)) if isinstance(node, ast.If)]
    guarded = [node for node in blocks if "TYPE_CHECKING" in ast.unparse(node.test)]
    assert not [name for node in guarded for name in imports_in(node) if name.startswith("netslim")]


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_are_imported_where_they_are_needed(library: str) -> None:
    for file in FILES:
        if library in packages_of(file):
            assert any(f"{module_of(file)}.".startswith(f"{room}.") for room in HEAVY[library]), file


@pytest.fixture(scope="module")
def words_of_the_command_line() -> re.Pattern[str]:
    """`--FLAG` of any verb's settings, and `netslim VERB`."""
    settings = {name.replace("_", "-") for verb in VERBS.values() for name in verb.stage.settings().model_fields}
    return re.compile(rf"(?<![\w-])--(no-)?({'|'.join(settings)})\b|\bnetslim ({'|'.join(VERBS)})\b")


@pytest.mark.parametrize("file", sorted((ROOT / "core").rglob("*.py")), ids=lambda file: file.stem)
def test_core_names_no_flag_and_no_verb(file: Path, words_of_the_command_line: re.Pattern[str]) -> None:
    assert not [text for text in strings_in(file) if words_of_the_command_line.search(text)]
