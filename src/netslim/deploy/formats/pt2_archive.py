"""torch's exported programs, read without trust.

`torch.export.load` unpickles sample inputs, legacy weights and custom objects, evaluates shape expressions as Python,
looks operators up by dotted name from `torch` on, and loads compiled libraries. So an archive is taken apart, checked
and what `torch.export.load` gets is put together from the checked parts alone: raw tensors, ATen operators, sums
and products of sizes.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netslim.core.errors import CheckpointError, first_line
from netslim.core.files import check_readable

FACTS, HASH = "extra/netslim.json", "extra/netslim.sha256"
_PROGRAM, _SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
_CONFIGS = {"data/weights/model_weights_config.json": "weight", "data/constants/model_constants_config.json": "tensor"}
_ENTRY = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|models/model\.json|data/sample_inputs/model\.pt|extra/[\w.]+|archive_format|archive_version|byteorder"
    r"|\.data/(version|serialization_id)"
)
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|torchvision)\.(?!from_file\b)[a-z]\w*\.\w+"
    r"|torch\.ops\.aten\._(adaptive|assert|batch|log|native|safe|scaled|softmax|to|un)\w*\.\w+"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge)|torch\.sym_\w+"
)
_SHAPE = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Load)
_FUNCTIONS = {"Add", "Mul", "Pow", "Integer", "Rational", "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CeilDiv"}
_FUNCTIONS |= {"CleanDiv", "IntTrueDiv", "ModularIndexing"}


def seal(content: bytes) -> bytes:
    """An archive with the hash of its contents in it."""
    buffer = io.BytesIO(content)
    digest = _digest(_entries(content))
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(zipfile.ZipInfo(f"{root}/{HASH}"), digest)
    return buffer.getvalue()


def load_program(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network in an archive and what netslim wrote about it; nothing is unpickled.

    Raises:
        CheckpointError: the file is missing, damaged, or holds anything but ATen operators and raw tensors.
    """
    check_readable(path)
    try:
        entries = _entries(path.read_bytes())
        written = entries.pop(HASH, None)
        if written is not None and written.decode() != _digest(entries):
            raise _RefusedError("damaged: its contents do not have the hash that was written with them")
        _check(entries)
        facts = json.loads(entries.get(FACTS, b"{}"))
        return torch.export.load(io.BytesIO(_archive(entries))).module(), dict(facts)
    except _RefusedError as error:
        raise CheckpointError(f"{path} is {error}") from error
    except Exception as error:  # zipfile, json and torch raise whatever they met
        first = first_line(error)
        raise CheckpointError(f"{path} is damaged or no exported program: {first}") from error


class _RefusedError(Exception):
    pass


def _entries(content: bytes) -> dict[str, bytes]:
    """The files in an archive by their names below its root; reading them checks their CRC."""
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        root = archive.namelist()[0].partition("/")[0]
        for entry in archive.infolist():
            name = entry.filename.removeprefix(f"{root}/")
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(content):
                raise _RefusedError(f"refused: {name} is compressed")
            if name in found or name == entry.filename:
                raise _RefusedError(f"refused: {name} is there twice or outside the archive's folder")
            found[name] = archive.read(entry)
    return found


def _digest(entries: Mapping[str, bytes]) -> str:
    lines = [f"{name} {hashlib.sha256(entries[name]).hexdigest()}\n" for name in sorted(entries)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _check(entries: Mapping[str, bytes]) -> None:
    for name in entries:
        if not _ENTRY.fullmatch(name):
            raise _RefusedError(f"refused: it holds {name}, which is neither raw weights nor a graph")
    for name, kind in _CONFIGS.items():
        for tensor, payload in json.loads(entries[name])["config"].items():
            if payload["use_pickle"] is not False or not re.fullmatch(rf"{kind}_\d+", payload["path_name"]):
                raise _RefusedError(f"refused: '{tensor}' is pickled, and pickled code is never run")
    for key, value in _strings(json.loads(entries[_PROGRAM])):
        if key in ("target", "as_operator") and not _OPERATOR.fullmatch(value):
            raise _RefusedError(f"refused: '{value}' is no operator of a network")
        if key == "expr_str" and not _is_size(value):
            raise _RefusedError(f"refused: '{value}' is no size")
        if key in ("in_spec", "out_spec") and "__enum__" in value:
            raise _RefusedError("refused: its inputs or outputs name a class to import")


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All strings in a program but what it says of its source code, each with its nearest key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("metadata", "guards_code"):
                yield from _strings(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key)


def _is_size(text: str) -> bool:
    """Whether an expression, which sympy evaluates as Python, is made of symbols, numbers and sums alone."""
    try:
        return _arithmetic(ast.parse(text, mode="eval"))
    except (SyntaxError, ValueError, RecursionError):
        return False


def _arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    if isinstance(node, ast.Name):
        return re.fullmatch(r"[su]\d+|True|False", node.id) is not None
    if isinstance(node, ast.Call):
        return _known_call(node)
    return isinstance(node, _SHAPE) and all(_arithmetic(child) for child in ast.iter_child_nodes(node))


def _known_call(node: ast.Call) -> bool:
    if not isinstance(node.func, ast.Name):
        return False
    if node.func.id == "Symbol":
        names = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
        flags = [isinstance(flag.value, ast.Constant) and flag.value.value in (True, False) for flag in node.keywords]
        return len(names) == 1 and re.fullmatch(r"[a-z]+\d+", str(names[0])) is not None and all(flags)
    return node.func.id in _FUNCTIONS and not node.keywords and all(_arithmetic(arg) for arg in node.args)


def _archive(entries: Mapping[str, bytes]) -> bytes:
    """A new archive of what was checked; without sample inputs, which are pickled, and guards, which are code."""
    program = json.loads(entries[_PROGRAM])
    program["guards_code"] = []
    changed = {**entries, _PROGRAM: json.dumps(program).encode(), _SAMPLES: b""}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in changed.items():
            archive.writestr(f"archive/{name}", content)
    return buffer.getvalue()
