"""Tables by way of another machine: small ONNX files to time there, and the times that come back."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netslim.core.errors import CheckpointError, UsageError
from netslim.core.files import atomic_write, make_folder, put_in_place, read_text, write_errors, write_json
from netslim.deploy.formats.onnx_graph import NotWrittenError, onnx_model
from netslim.deploy.latency import time_pieces
from netslim.deploy.latency.filling import wanted
from netslim.deploy.latency.pieces import Piece
from netslim.deploy.latency.table import Conditions, Table

PIECES, TIMES, SCRIPT, README = "pieces.json", "times.csv", "time_pieces.py", "README.md"
EMPTY = "empty.onnx"
_STEP = 8  # what engines elsewhere are taken to pad to
_MOST = 16_000_000

_README = """# Parts of a network, to be timed

Every `.onnx` file here is one layer (with the activation after it) at one width; the batch size is free. What is wanted
is how long one call of each takes on the machine where the network will run.

With Python, numpy and {engine} on that machine, copy this folder there and type

    python {SCRIPT} --engine {engine} --batch-size 1 --threads 2

It goes over all files in turns, takes lower quartiles, writes `{TIMES}`, and goes on where it stopped if it is cut off.

With any other program (a phone's benchmark application), write `{TIMES}` by hand: a line `file,seconds`, then one line
per file, its name and the seconds of one call. `{EMPTY}` does nothing: its time is what a call costs by itself. Lines
`# processor: NAME` and `# version: NUMBER` at the top say what the times are of.

Copy `{TIMES}` back to this folder; then type

    netslim profile MODEL --engine {engine} --import {TIMES} --save table.json
    netslim prune MODEL --target-latency 0.5 --engine {engine} --table table.json

Give both the same `--threads`, and the batch size as `--batch-size` to profile and `--latency-batch` to prune.
"""


def write_pieces(folder: Path, pieces: Sequence[Piece], conditions: Conditions) -> int:
    """Writes every piece at its widths, a script that times them, and what they are. Returns their number.

    The folder is there when it is complete. Times that it held stay, if they are of the same parts.

    Raises:
        UsageError: the folder has other files in it, or times of other parts.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / PIECES).is_file():
        raise UsageError(f"{folder} is in use, and not by parts of a network; give another folder")
    with put_in_place(folder) as temporary:
        with write_errors(folder):
            make_folder(temporary)
        said = _write(temporary, pieces, conditions)
        if (folder / TIMES).is_file():
            if (folder / PIECES).read_bytes() != (temporary / PIECES).read_bytes():
                raise UsageError(f"{folder} holds times of other parts; give another folder")
            atomic_write(temporary / TIMES, (folder / TIMES).read_bytes())
    return said


def _write(folder: Path, pieces: Sequence[Piece], conditions: Conditions) -> int:
    said: list[dict[str, Any]] = []
    for piece, widths in wanted(Table(replace(conditions, step=_STEP)), pieces):
        try:
            content = onnx_model(piece.network(widths), {}).SerializeToString()
        except NotWrittenError:
            continue
        name = f"{len(said):04d}.onnx"
        atomic_write(folder / name, content)
        said.append({"file": name, "kind": piece.kind, "widths": list(widths)})
    atomic_write(folder / EMPTY, _empty())
    write_json(folder / PIECES, said)
    names = {"SCRIPT": SCRIPT, "TIMES": TIMES, "EMPTY": EMPTY, "engine": conditions.engine}
    atomic_write(folder / README, _README.format(**names).encode())
    atomic_write(folder / SCRIPT, Path(time_pieces.__file__).read_bytes())
    return len(said)


def _empty() -> bytes:
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "empty", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    content: bytes = model.SerializeToString()
    return content


def read_times(path: Path, conditions: Conditions) -> Table:
    """The table of a `times.csv` beside its `pieces.json`.

    Args:
        path: the CSV, or its folder.
        conditions: engine, threads and batch that it is of; processor and version are what the file says.

    Raises:
        CheckpointError: a file is missing, or is not what it should be; times of some pieces are missing.
    """
    path = path / TIMES if path.is_dir() else path
    lines = _lines(path)
    head = dict(line[1:].split(":", 1) for line in lines if line.startswith("#") and ":" in line)
    facts = {name.strip(): text.strip() for name, text in head.items()}
    try:
        times = {row["file"]: float(row["seconds"]) for row in csv.DictReader(own for own in lines if own[:1] != "#")}
        pieces = json.loads("".join(_lines(path.with_name(PIECES))))
        known = [(own["file"], own["kind"], tuple(own["widths"])) for own in pieces]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: no times of parts (a line `file,seconds`, then one per file)") from error
    missing = [name for name, _, _ in known if name not in times]
    if missing:
        raise CheckpointError(f"{path} has no times of {len(missing)} of the {len(known)} parts, first {missing[0]}")
    there = replace(
        conditions,
        processor=facts.get("processor", "another machine"),
        version=facts.get("version", "unknown"),
        step=_STEP,
    )
    table = Table(there)
    for name, kind, widths in known:
        table.add(kind, widths, max(times[name] - times.get(EMPTY, 0.0), 0.0))
    return table


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise CheckpointError(f"no such file: {path}")
    return read_text(path, _MOST).splitlines(keepends=True)
