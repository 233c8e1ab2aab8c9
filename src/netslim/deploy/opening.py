"""Files of any kind, opened to be run side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, fx, nn

from netslim.core.errors import ArgumentError, CheckpointError, UsageError
from netslim.core.safetensors_folder import CONFIG, read_facts
from netslim.cost import measure
from netslim.deploy.form_memory import fastest_form
from netslim.deploy.form_search import Search
from netslim.deploy.fx_graph import UntraceableError
from netslim.deploy.inference import Form, shaped, simplified, two_of
from netslim.deploy.target import TARGETS, Start, start_with_torch

ENGINES = ("eager", "compiled", "onnxruntime", "openvino")  # of checkpoints
_TARGETS = {"onnxruntime": "onnx", "openvino": "openvino"}  # whose callers time forms; torch's engines: eager
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
        start: what runs the network of an exported file.
    """

    path: Path
    engines: Sequence[str]
    shape: tuple[int, ...] | None
    macs: int | None
    model: nn.Module | None = None
    start: Start | None = None
    _simple: dict[tuple[int, ...], fx.GraphModule | None] = field(default_factory=dict, repr=False)

    def macs_at(self, shape: tuple[int, ...]) -> int | None:
        """MACs for one input of a shape (C, H, W)."""
        return measure(self.model, torch.zeros(1, *shape)).macs if self.model else self.macs

    def form(self, engine: str, images: Tensor, seconds: float) -> Form | None:
        """The fastest form of a checkpoint's network for an engine; None for a file that was exported in one."""
        if self.model is None:
            return None
        network = self._simplified(images)
        if network is None:
            return None
        target = TARGETS.get(_TARGETS.get(engine, "eager"))
        return fastest_form(self.model, network, images, target, Search(seconds=seconds)).form

    def call(self, engine: str, images: Tensor, form: Form | None, threads: int) -> Call:
        """What runs the network once on a batch."""
        if self.start is not None:
            return self.start(engine, images, threads)
        if engine in _TARGETS:
            from netslim.deploy.targets.onnx import onnx_bytes, start_onnx

            return start_onnx(onnx_bytes(self._as_torch(images, form), two_of(images)))(engine, images, threads)
        return start_with_torch(self._as_torch(images, form))(engine, images, threads)

    def _as_torch(self, images: Tensor, form: Form | None) -> nn.Module:
        network = self._simplified(images) if form else None
        return cast(nn.Module, self.model) if network is None or form is None else shaped(network, two_of(images), form)

    def _simplified(self, images: Tensor) -> fx.GraphModule | None:
        """The network without what no form needs; None where it has no fixed graph. Made once."""
        shape = tuple(images.shape[1:])
        if shape not in self._simple:
            try:
                self._simple[shape] = simplified(cast(nn.Module, self.model), two_of(images))
            except UntraceableError:
                self._simple[shape] = None
        return self._simple[shape]


def open_file(path: Path, load: Callable[[Path], nn.Module], trust: bool = False) -> Opened:
    """Opens an exported file by the target that recognises it, and anything else with `load`.

    Args:
        path: the file or folder.
        load: builds the network of a checkpoint.
        trust: whether code in a folder of target eager may be run.

    Raises:
        CheckpointError: the file is missing or damaged.
        UsageError: a package is missing, or the folder holds code and is not trusted.
    """
    facts = read_facts(path / CONFIG) if (path / CONFIG).is_file() else {}
    for target in map(TARGETS.get, TARGETS.names()):
        if target.engines and target.recognises(path, facts):
            if target.suffix and not path.is_file():
                raise CheckpointError(f"no such file: {path}")
            if target.holds_code and not trust:
                raise UsageError(f"{path} holds code, which runs only if you trust where it is from: type `trust=True`")
            found = target.runnable(path, facts)
            return Opened(path, target.engines, found.shape, found.macs, start=found.start)
    return Opened(path, ENGINES, None, None, model=load(path))


def engines() -> list[str]:
    """What runs networks: checkpoints' first, then what else runs a target's files."""
    others = [engine for name in TARGETS.names() for engine in TARGETS.get(name).engines]
    return list(dict.fromkeys([*ENGINES, *others]))


def check_engines(names: Sequence[str]) -> None:
    """Raises UsageError for an engine that does not exist, or runs checkpoints and lacks its package.

    What runs a kind of exported folder alone is missed where one is opened, not where no file is for it.
    """
    known = engines()
    for name in names:
        if name not in known:
            raise ArgumentError("engines", name, f"type some of {','.join(known)}")
        for target in TARGETS.names() if name in ENGINES else []:
            if name in TARGETS.get(target).engines:
                TARGETS.get(target).check(target)
