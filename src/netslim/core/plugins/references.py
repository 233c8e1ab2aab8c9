"""Code of the user's own, named on the command line: `path/to/file.py:function` or `package.module:function`.

It is imported because the user names it, never because a file that is read does.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import Loader
from pathlib import Path
from types import ModuleType
from typing import Any

from netslim.core.errors import ArgumentError, NetslimError, UserCodeError, first_of, nearest, setting, with_article
from netslim.core.files import file_hash

SHOWN = 8
_OTHERS = ("site-packages", "dist-packages", sysconfig.get_path("stdlib"), str(Path(__file__).parents[2]))
_folders: list[Path] = []  # that code was imported from


@dataclass(frozen=True, kw_only=True, eq=False)
class UserObject:
    """What a reference names.

    Attributes:
        field: the setting that names it ("loss"), for messages.
        reference: as it was given.
        value: the function, class or object.
        sha256: of the file that it is in; None if it is in no file.
    """

    field: str
    reference: str
    value: Any
    sha256: str | None = None

    @property
    def name(self) -> str:
        """What comes after the colon."""
        return self.reference.rpartition(":")[2]

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Calls it. Raises UserCodeError, with the user's file and line, for whatever it raises."""
        with user_code(setting(self.field, self.reference)):
            return self.value(*args, **kwargs)

    def call_with(self, offered: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Calls it with those of the offered keyword arguments that it has parameters for."""
        return self.call(*args, **{**self.taken(offered), **kwargs})

    def taken(self, offered: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the offered keyword arguments that it has parameters for."""
        try:
            parameters = inspect.signature(self.value).parameters
        except (TypeError, ValueError):  # built in, without a signature
            return {}
        return {name: value for name, value in offered.items() if name in parameters}

    def check_arguments(self, field: str, given: Mapping[str, Any]) -> None:
        """Raises ArgumentError, naming `field`, if it has no parameters for these arguments, or needs others."""
        try:
            signature = inspect.signature(self.value)
        except (TypeError, ValueError):
            return
        try:
            signature.bind(**given)
        except TypeError as error:
            takes = ", ".join(signature.parameters) or "nothing"
            said = ", ".join(f"{name}={value}" for name, value in given.items())
            raise ArgumentError(field, said or "none", f"{self.reference}: {error} (it takes {takes})") from error

    def wrong(self, found: Any, wanted: str) -> ArgumentError:
        """The error for one that gives something else than it should."""
        return ArgumentError(self.field, self.reference, f"it gives {kind(found)}, not {wanted}")


def is_reference(text: str) -> bool:
    """Whether a text names code of the user's own, rather than something that is registered."""
    where, colon, name = text.rpartition(":")
    if text.endswith((".py", ".py:")):
        return True
    is_place = where.endswith(".py") or all(part.isidentifier() for part in where.split("."))
    return bool(colon and name) and is_place


def file_of(text: str | None) -> Path | None:
    """The file that a reference names; None for a module's, or for no reference."""
    where = (text or "").rpartition(":")[0]
    return Path(where) if where.endswith(".py") else None


def load_reference(field: str, text: str) -> UserObject:
    """Imports what a reference names.

    The file's folder (for a module: the current folder) is where it may import more from.

    Raises:
        ArgumentError: there is no such file, module or name (the nearest names are listed).
        UserCodeError: the import fails; the message has the user's file and line.
    """
    where, _, name = text.rpartition(":")
    if not where or not all(part.isidentifier() for part in name.split(".")):
        raise ArgumentError(field, text, "name what is in it: " + setting(field, text.rstrip(":") + ":NAME"))
    module = _from_file(field, text, Path(where)) if where.endswith(".py") else _from_package(field, text, where)
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            raise ArgumentError(field, text, _no_such_name(value, where, part))
        value = getattr(value, part)
    file = getattr(module, "__file__", None)
    return UserObject(field=field, reference=text, value=value, sha256=file_hash(Path(file)) if file else None)


@contextmanager
def user_code(what: str) -> Iterator[None]:
    """Inside, whatever is raised becomes a UserCodeError of one line: what failed, where, and why."""
    try:
        yield
    except NetslimError:
        raise
    except (Exception, SystemExit) as error:  # whatever somebody's code raises
        if (
            isinstance(error, MemoryError) or "out of memory" in str(error).lower()
        ):  # which is no mistake of that code's
            raise
        raise UserCodeError(f"{what}: {_explained(error)}") from error


def blamed(error: BaseException) -> str | None:
    """`nets.py:12: ValueError: ...` if it came out of the user's own code, wherever that was called; else None."""
    return _explained(error) if _place(error) else None


def literals(field: str, assignments: Sequence[str]) -> dict[str, Any]:
    """`["width=16", "act=relu"]` -> `{"width": 16, "act": "relu"}`: values as Python or JSON has them, else texts.

    Raises:
        ArgumentError: no `key=value`, or a value that a file can't record.
    """
    found = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip().isidentifier():
            raise ArgumentError(field, assignment, f"type key=value, for example {setting(field, 'width=16')}")
        found[key.strip()] = _literal(text.strip())
    return found


def kind(value: Any) -> str:
    """`a dict`, `an int`, `nothing`: for messages."""
    return "nothing" if value is None else with_article(type(value).__name__)


def _literal(text: str) -> Any:
    readers: tuple[Callable[[str], Any], ...] = (ast.literal_eval, json.loads)
    for read in readers:
        try:
            value = read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        return list(value) if isinstance(value, tuple) else value
    return text


def _from_file(field: str, text: str, path: Path) -> ModuleType:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ArgumentError(field, text, f"cannot read {path}: {error.strerror}") from error
    digest = hashlib.sha256(str(path.resolve()).encode() + source).hexdigest()[:12]
    name = f"netslim_user_{path.stem}_{digest}"  # two references into a file are to the same module
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ArgumentError(field, text, f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # data classes and workers look it up
    try:
        with _importing(setting(field, text), path.resolve().parent):
            _executed(spec.loader, module, field, text)
        _check_neighbours(field, text, path.resolve(), source)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _executed(loader: Loader, module: ModuleType, field: str, text: str) -> None:
    try:
        loader.exec_module(module)
    except ImportError as error:
        if "relative import" not in str(error):
            raise
        path, name = Path(str(module.__file__)), text.rpartition(":")[2]
        named = setting(field, f"{path.parent.name}.{path.stem}:{name}")
        raise ArgumentError(
            field, text, f"it imports from its package: type {named} in the folder that holds {path.parent.name}"
        ) from error


def _check_neighbours(field: str, text: str, path: Path, source: bytes) -> None:
    """Python knows one module of a name: raises ArgumentError if what was imported is not the neighbour."""
    nodes = [*ast.walk(ast.parse(source))]
    imported = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imported += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    for name in sorted({full.partition(".")[0] for full in imported}):
        neighbour, there = path.parent / f"{name}.py", getattr(sys.modules.get(name), "__file__", None)
        if there and _is_own(there) and neighbour.is_file() and not neighbour.samefile(there):
            raise ArgumentError(
                field, text, f"it imports {name}, and {_short(there)} has that name: rename {neighbour}"
            )


def _from_package(field: str, text: str, where: str) -> ModuleType:
    with _importing(setting(field, text), Path.cwd()):
        try:
            return importlib.import_module(where)
        except ModuleNotFoundError as error:
            if error.name and f"{where}.".startswith(f"{error.name}."):
                raise ArgumentError(
                    field, text, f"there is no module {error.name}, neither installed nor in this folder"
                ) from error
            raise


@contextmanager
def _importing(what: str, folder: Path) -> Iterator[None]:
    """Lets what is imported find its neighbours, from now on: a function may import some when it is called."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # last: a neighbour called like a library must not stand in for it
    if folder not in _folders:
        _folders.append(folder)
    with user_code(what):
        yield


def _no_such_name(holder: Any, where: str, name: str) -> str:
    own = [key for key, value in vars(holder).items() if not key.startswith("_") and not inspect.ismodule(value)]
    here = [key for key in own if getattr(vars(holder)[key], "__module__", None) == getattr(holder, "__name__", "")]
    meant = nearest(name, own)
    hint = f"; did you mean {' or '.join(meant)}?" if meant else ""
    return f"{where} has no '{name}'{hint} (it has: {first_of(sorted(here or own), SHOWN) or 'nothing'})"


def _explained(error: BaseException) -> str:
    """`nets.py:12: ValueError: ...`, where the user's own code is in the traceback."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    message = " ".join(text.split())
    said = f"{type(error).__name__}: {message}" if message else type(error).__name__
    place = _place(error)
    return f"{place}: {said}" if place else said


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}"
    found, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if _is_own(file):
            found = f"{_short(file)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _is_own(file: str) -> bool:
    inside = any(Path(file).is_relative_to(folder) for folder in _folders)
    return inside and file.endswith(".py") and not _is_library(file)


def _is_library(file: str) -> bool:
    return any(part in file for part in _OTHERS)


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
