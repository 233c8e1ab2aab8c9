"""Files of any kind, opened to be run side by side."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from netslim.core.errors import ArgumentError, CheckpointError, NetslimError
from netslim.core.safetensors_folder import CONFIG
from netslim.cost import measure
from netslim.deploy.fx_graph import UntraceableError
from netslim.deploy.inference import LAYOUTS, Form, Search, choose, shaped, simplified
from netslim.deploy.onnx_runtime import onnx_session, run_session
from netslim.deploy.target import TARGETS

ENGINES = ("eager", "compiled", "onnxruntime")
Call = Callable[[], object]


@dataclass
class Opened:
    """A network in a file.

    Attributes:
        path: the file or folder.
        engines: what can run it.
        shape: of one input (C, H, W), where the file fixes it.
        macs: for one input of that shape, of the trained network: padding and zero columns are not counted.
        model: the trained network of a checkpoint; it is run in the form that is fastest.
        program: the network of an exported file that torch runs.
        onnx: the ONNX model of an exported file.
    """

    path: Path
    engines: Sequence[str]
    shape: tuple[int, ...] | None
    macs: int | None
    model: nn.Module | None = None
    program: nn.Module | None = None
    onnx: bytes | None = None

    def macs_at(self, shape: tuple[int, ...]) -> int | None:
        """MACs for one input of a shape (C, H, W)."""
        return measure(self.model, torch.zeros(1, *shape)).macs if self.model else self.macs

    def form(self, engine: str, images: Tensor, seconds: float) -> Form | None:
        """The fastest form of a checkpoint's network for an engine; None for a file that was exported in one."""
        if self.model is None:
            return None
        target = TARGETS.get("onnx" if engine == "onnxruntime" else "eager")
        try:
            network = simplified(self.model, _two(images))
        except UntraceableError:
            return None
        layouts = ("nchw",) if engine == "onnxruntime" else LAYOUTS
        search = Search(seconds=seconds)
        return choose(network, _two(images), lambda found: target.caller(found, images), layouts, search).form

    def call(self, engine: str, images: Tensor, form: Form | None, threads: int) -> Call:
        """What runs the network once on a batch."""
        if engine == "onnxruntime":
            session = onnx_session(self.onnx or self._as_onnx(images, form), threads)
            return lambda: run_session(session, images)
        network = self.program or self._as_torch(images, form)
        if engine == "compiled":
            network = cast(nn.Module, torch.compile(network, dynamic=False))
            _try(network, images)
        return lambda: network(images)

    def _as_torch(self, images: Tensor, form: Form | None) -> nn.Module:
        model = cast(nn.Module, self.model)
        return shaped(simplified(model, _two(images)), _two(images), form) if form else model

    def _as_onnx(self, images: Tensor, form: Form | None) -> bytes:
        from netslim.deploy.targets.onnx import onnx_bytes

        return onnx_bytes(self._as_torch(images, form), _two(images))


def open_file(path: Path, load: Callable[[Path], nn.Module]) -> Opened:
    """Opens an exported file by its ending, and anything else with `load`.

    Raises:
        CheckpointError: the file is missing or damaged.
        UsageError: a package is missing.
    """
    facts = _facts(path / CONFIG) if (path / CONFIG).is_file() else {}
    if facts.get("target") == "eager":
        from netslim.deploy.targets.eager import load_code

        return Opened(path, ("eager", "compiled"), *_size(facts), program=load_code(path))
    if path.suffix not in (".onnx", ".pt2"):
        model = load(path)
        return Opened(path, ENGINES, None, None, model=model)
    if not path.is_file():
        raise CheckpointError(f"no such file: {path}")
    return _onnx(path) if path.suffix == ".onnx" else _pt2(path)


def _onnx(path: Path) -> Opened:
    TARGETS.get("onnx").check("onnx")
    content = path.read_bytes()
    session = onnx_session(content, 1)
    written = session.get_modelmeta().custom_metadata_map.get("netslim")
    shape = session.get_inputs()[0].shape[1:]
    fixed = tuple(shape) if all(isinstance(side, int) for side in shape) else None
    macs = json.loads(written)["macs"] if written else None
    return Opened(path, ("onnxruntime",), fixed, macs, onnx=content)


def _pt2(path: Path) -> Opened:
    extra: dict[str, Any] = {"netslim.json": ""}
    try:
        program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=extra).module()
    except (RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged or no exported program: {str(error).splitlines()[0]}") from error
    facts = json.loads(extra["netslim.json"] or "{}")
    return Opened(path, ("eager", "compiled"), *_size(facts), program=program)


def _facts(config: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{config} is damaged or no JSON: {error}") from error
    return facts


def _size(facts: dict[str, Any]) -> tuple[tuple[int, ...] | None, int | None]:
    shape = facts.get("input_shape")
    return (tuple(shape) if shape else None), facts.get("macs")


def _two(images: Tensor) -> Tensor:
    """At least two images: one would be taken for a constant."""
    return images if len(images) > 1 else images.expand(2, *images.shape[1:]).contiguous()


def _try(network: nn.Module, images: Tensor) -> None:
    try:
        network(images)
    except Exception as error:  # torch.compile's own errors, and those of the compiler it calls
        raise NetslimError(
            f"torch.compile failed: {str(error).strip().splitlines()[0]}; it needs a C++ compiler: leave the engine "
            f"compiled out"
        ) from error


def check_engines(names: Sequence[str]) -> None:
    """Raises UsageError for an engine that does not exist or whose package is missing."""
    for name in names:
        if name not in ENGINES:
            raise ArgumentError("engines", name, f"type some of {','.join(ENGINES)}")
        if name == "onnxruntime":
            TARGETS.get("onnx").check("onnx")
