"""What plug-ins say of themselves, read from their source: help must not wait for the libraries that they import.

Also the plug-ins of other packages: entry points of the group `netslim.plugins`, each of which names a module.
"""

import ast
import functools
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netslim.core.launch import is_first

GROUP = "netslim.plugins"
_loading = ContextVar("loading", default=False)


@dataclass(frozen=True, kw_only=True)
class Option:
    """A setting that a plug-in brings along; its type is that of its default.

    Attributes:
        name: as in Python; the command line has a flag of this name.
        default: a number, a bool or a text.
        help: one line for `--help`.
        ge, gt, le, lt: bounds of a number.
    """

    name: str
    default: float | int | bool | str
    help: str
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    @property
    def limits(self) -> dict[str, float]:
        """The bounds that there are."""
        bounds = {"ge": self.ge, "gt": self.gt, "le": self.le, "lt": self.lt}
        return {name: bound for name, bound in bounds.items() if bound is not None}


@dataclass(frozen=True)
class Kind:
    """A kind of plug-in, by the names of what holds it: nothing is imported.

    Attributes:
        registry: the registry's name in Python ("CRITERIA").
        room: the package whose files register entries.
    """

    registry: str
    room: str

    def declared(self) -> dict[str, dict[str, Any]]:
        """By name, sorted: what each record says in literals (texts, numbers, tuples of them, `Option`s).

        Found is what stands at a file's top level as `REGISTRY.register("name")`, called with a record or used as a
        decorator, in the room or in a plug-in of another package.
        """
        root = importlib.import_module(self.room.partition(".")[0])
        room = Path(root.__path__[0]).joinpath(*self.room.split(".")[1:])
        found: dict[str, dict[str, Any]] = {}
        for file in (*sorted(room.glob("*.py")), *_outside_files()):
            found.update(_declarations(file, self.registry))
        return dict(sorted(found.items()))

    def names(self) -> list[str]:
        """The names, sorted."""
        return list(self.declared())

    def options(self) -> dict[str, tuple[Option, ...]]:
        """By name, the settings that a plug-in brings along."""
        return {name: tuple(record.get("options", ())) for name, record in self.declared().items()}


def outside() -> list[importlib.metadata.EntryPoint]:
    """The plug-ins that other packages offer, by name."""
    return sorted(importlib.metadata.entry_points(group=GROUP), key=lambda point: point.name)


@functools.cache
def load_outside() -> None:
    """Imports the plug-ins of other packages, once; one that can't be imported is named and left out."""
    for point in outside():
        before = _loading.set(True)
        try:
            importlib.import_module(point.module)
        except Exception as error:  # whatever another package's import raises
            if is_first():
                reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                sys.stderr.write(
                    f"netslim: warning: plug-in '{point.name}' is left out, its module {point.module} can't be "
                    f"imported ({reason}); repair or uninstall it\n"
                )
        finally:
            _loading.reset(before)


def is_loading_outside() -> bool:
    """Whether a plug-in of another package is being imported."""
    return _loading.get()


@functools.cache
def _outside_files() -> tuple[Path, ...]:
    found = []
    for point in outside():
        try:
            spec = importlib.util.find_spec(point.module)
        except Exception:  # a package that can't be imported; `load_outside` says so where it is needed  # noqa: S112
            continue
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            found.append(Path(spec.origin))
    return tuple(found)


@functools.cache
def _declarations(file: Path, registry: str) -> Mapping[str, dict[str, Any]]:
    source = file.read_text(encoding="utf-8")
    if f"{registry}.register(" not in source:
        return {}
    try:
        body = ast.parse(source).body
    except SyntaxError:  # its import says so
        return {}
    calls = [call for statement in body for call in _calls(statement)]
    return {name: record for call in calls if (name := _name(call, registry)) for record in [_record(call)]}


def _calls(statement: ast.stmt) -> Iterator[ast.Call]:
    """The calls that a statement is, or is decorated with."""
    nodes: Sequence[ast.expr] = []
    if isinstance(statement, ast.Expr):
        nodes = [statement.value]
    elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
        nodes = statement.decorator_list
    return (node for node in nodes if isinstance(node, ast.Call))


def _name(call: ast.Call, registry: str) -> str | None:
    """The name in `REGISTRY.register("name")`, or in a call of what that gives; None for any other call."""
    inner = call.func if isinstance(call.func, ast.Call) else call
    if not isinstance(inner.func, ast.Attribute) or inner.func.attr != "register" or not inner.args:
        return None
    name, holder = inner.args[0], inner.func.value
    held_in = holder.attr if isinstance(holder, ast.Attribute) else getattr(holder, "id", None)
    return name.value if held_in == registry and isinstance(name, ast.Constant) else None  # type: ignore[return-value]


def _record(call: ast.Call) -> dict[str, Any]:
    """The keywords of the record in `REGISTRY.register("name")(Record(...))`, as far as they are literals."""
    record = call.args[0] if isinstance(call.func, ast.Call) and call.args else None
    keywords = record.keywords if isinstance(record, ast.Call) else []
    values = {}
    for keyword in keywords:
        try:
            values[str(keyword.arg)] = _literal(keyword.value)
        except ValueError:
            continue
    return values


def _literal(node: ast.expr) -> Any:
    """The value of a literal. Raises ValueError if it is none."""
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) == "Option":
        return Option(
            **{str(keyword.arg): _literal(keyword.value) for keyword in node.keywords},
        )
    return ast.literal_eval(node)
