"""An engine under fixed conditions: what plans for a latency ask."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from netslim.core.errors import ArgumentError, UsageError, one_of
from netslim.core.networks.copies import copied
from netslim.core.networks.modes import evaluation_mode
from netslim.core.protocols import ChannelGroup, Slice
from netslim.core.runs.environment import hardware
from netslim.cost import Latency, torch_threads
from netslim.cost.time_model import Part, Surface, TimeModel
from netslim.deploy.form_search import MULTIPLES, Search, choose
from netslim.deploy.fx_graph import UntraceableError
from netslim.deploy.inference import Form, shaped, simplified, two_of
from netslim.deploy.int8.onnx_quantizer import in_int8_for_timing
from netslim.deploy.latency.filling import fill, wanted, widths_of
from netslim.deploy.latency.fixed_numbers import fix_numbers_
from netslim.deploy.latency.pieces import Piece, piece_of
from netslim.deploy.latency.runners import in_turns
from netslim.deploy.latency.table import Conditions, Table, check_same, read_table, remember, remembered
from netslim.deploy.latency.units import Units
from netslim.deploy.quiet import quiet
from netslim.deploy.target import start_with_torch
from netslim.deploy.targets.onnx import onnx_bytes, start_onnx

ENGINES = ("onnxruntime", "openvino", "eager", "compiled")
_OF_TORCH = ("eager", "compiled")
_PACKAGES = {"onnxruntime": ("onnxruntime", "onnx"), "openvino": ("openvino", "onnx")}
_EXTRAS = {"onnxruntime": "export", "openvino": "openvino"}
_SECONDS, _ROUNDS = 0.6, 200  # per network that is run as a whole
Progress = Callable[[int, int], None]


class Engine:
    """An engine, a batch size and a number of threads, for `netslim.plan(..., target_latency=..., engine=...)`.

    Args:
        name: `onnxruntime`, `openvino`; or torch: `eager`, `compiled` (its parts are timed uncompiled, the whole
            compiled).
        batch_size: images per call.
        threads: of the processor; default: as many as torch has.
        int8: whether layers are in 8-bit integers, as `netslim export --int8` writes them; not by torch.
        table: a file of `netslim profile`, perhaps of another machine: then nothing is measured here.
        progress: told how many times of parts are measured, and of how many.

    Raises:
        UsageError: an unknown engine, a missing package, a table for other conditions.
        CheckpointError: the table's file.

    >>> import netslim
    >>> engine = netslim.Engine("onnxruntime", batch_size=1, threads=2)
    >>> engine.name, engine.batch_size, engine.threads
    ('onnxruntime', 1, 2)
    """

    def __init__(
        self,
        name: str = "onnxruntime",
        *,
        batch_size: int = 1,
        threads: int | None = None,
        int8: bool = False,
        table: str | Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        check_engine(name, int8=int8)
        for setting, number in (("batch_size", batch_size), ("threads", 1 if threads is None else threads)):
            if not isinstance(number, int) or number < 1:
                raise ArgumentError(setting, number, "type a whole number from 1")
        self.name, self.batch_size, self.int8 = name, batch_size, int8
        self.threads = threads or torch.get_num_threads()
        self.progress = progress
        self.table = read_table(Path(table)) if table else None
        self.is_here = self.table is None or check_same(Path(str(table)), self.table, self.conditions)

    @cached_property
    def conditions(self) -> Conditions:
        """What times are measured under on this machine."""
        return Conditions(
            engine=self.name,
            version=str(importlib.import_module("torch" if self.name in _OF_TORCH else self.name).__version__),
            processor=str(hardware()["cpu"]),
            threads=self.threads,
            batch=self.batch_size,
            step=16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8,
            int8=self.int8,
        )

    def times_of(
        self,
        model: nn.Module,
        example: Tensor,
        groups: Sequence[tuple[ChannelGroup, Sequence[Slice]]],
        counts: Sequence[int],
    ) -> TimeModel:
        """The network's time as a function of what its groups lose; what the table lacks is measured.

        Args:
            model: the trained network.
            example: an input (N, C, H, W).
            groups: its channel groups, and what each cuts.
            counts: their channels.

        Raises:
            UsageError: the network has no fixed graph, or a table of another machine lacks some of its parts.
        """
        units, pieces = self._taken_apart(model, example, [slices for _, slices in groups])
        table = self.opened
        self._complete(table, pieces)
        gone = _blocks(units, [group for group, _ in groups], counts)
        parts = [
            Part(piece.widths, _surface(table, piece), frozenset(name for name, own in gone.items() if number in own))
            for number, piece in enumerate(pieces)
        ]
        return TimeModel(parts, len(groups), table.conditions.step)

    def network(self, model: nn.Module, example: Tensor) -> fx.GraphModule:
        """The network for inference as this engine runs it, on the processor.

        Raises:
            UsageError: it has no fixed graph.
        """
        example = torch.zeros(2, *example.shape[1:])
        return shaped(_simplified(model, example), example, self._forms[0])

    def call(self, model: nn.Module, example: Tensor) -> Callable[[], object]:
        """What runs a whole network once on a batch of images like the example's: as export writes it, the fastest."""
        images = torch.randn(self.batch_size, *example.shape[1:], generator=torch.Generator().manual_seed(0))
        two = two_of(images)
        with evaluation_mode(model):
            simple = _simplified(model, two)
        with torch_threads(self.threads):
            form = choose(simple, two, lambda found: self._start(found, images), self._forms, Search()).form
        network = shaped(simple, two, form)
        if not self.int8:
            return self._start(network, images)
        content = onnx_bytes(network, two)
        kinds = {str(around): in_int8_for_timing(content, around=around) for around in (True, False)}
        calls = {name: start_onnx(own)(self.name, images, self.threads) for name, own in kinds.items()}
        times = self.time(calls)
        return calls[min(times, key=lambda name: times[name].lower_quartile)]

    @property
    def _forms(self) -> list[Form]:
        """Those that export would try, the narrowest first; torch runs the narrowest."""
        of_torch = self.name in _OF_TORCH
        return [Form(multiple=multiple, clamp=of_torch) for multiple in (MULTIPLES[:1] if of_torch else MULTIPLES)]

    def _start(self, network: fx.GraphModule, images: Tensor) -> Callable[[], object]:
        """Runs a network in a form once."""
        if self.name in _OF_TORCH:
            return start_with_torch(network)(self.name, images, self.threads)
        content = onnx_bytes(network, two_of(images))
        return start_onnx(in_int8_for_timing(content) if self.int8 else content)(self.name, images, self.threads)

    def time(self, calls: Mapping[str, Callable[[], object]]) -> dict[str, Latency]:
        """Calls, timed in turns, each a few times in a row: as a network runs that is in use."""
        with torch_threads(self.threads), torch.inference_mode():
            times = in_turns([*calls.values()], self.threads, _SECONDS, _ROUNDS, alone=self.name != "openvino")
        return {name: Latency.of(taken) for name, taken in zip(calls, times, strict=True)}

    def pieces_of(self, model: nn.Module, example: Tensor, cuts: Sequence[Sequence[Slice]]) -> list[Piece]:
        """The network's parts, given what each of its groups cuts."""
        return self._taken_apart(model, example, cuts)[1]

    def _taken_apart(
        self, model: nn.Module, example: Tensor, cuts: Sequence[Sequence[Slice]]
    ) -> tuple[Units, list[Piece]]:
        network = self.network(model, example)
        fix_numbers_(network, torch.zeros(2, *example.shape[1:]))
        units = Units(network, cuts)
        return units, [piece_of(units, unit) for unit in units.units]

    @property
    def opened(self) -> Table:
        """The table that was given, or this machine's."""
        if self.table is None:
            self.table = remembered(self.conditions)
        return self.table

    def _complete(self, table: Table, pieces: Sequence[Piece]) -> None:
        missing = wanted(table, pieces)
        if missing and not self.is_here:
            raise UsageError(
                f"the table of {table.conditions} lacks {len(missing):,} of the times that this network needs; type "
                f"netslim profile with `export` for it, time the pieces there, and `import` them"
            )
        if missing:
            keep = partial(remember, table)
            fill(table, missing, "eager" if self.name in _OF_TORCH else self.name, keep, self.progress)


def _simplified(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """The network for inference on the processor, in no form yet; the example is two images there."""
    if any(own.device.type != "cpu" for own in model.parameters()):
        model = copied(model).cpu()
    try:
        return simplified(model, example)
    except UntraceableError as error:
        raise UsageError(f"{error}, so that its parts can't be timed; leave `engine` out") from error


def check_engine(name: str, *, int8: bool = False) -> None:
    """Raises UsageError for an engine that plans can't be made for, or whose packages are missing."""
    if name not in ENGINES:
        raise ArgumentError("engine", name, f"type one of {one_of(ENGINES)}")
    if int8 and name in _OF_TORCH:
        raise ArgumentError("int8", True, f"engine {name} has no 8-bit integers; type `engine='onnxruntime'` for them")
    for package in (*_PACKAGES.get(name, ()), *(["onnxruntime"] if int8 else [])):
        try:
            with quiet():
                importlib.import_module(package)
        except ImportError as error:
            raise UsageError(
                f"engine {name} needs the package {package}, which is not installed; "
                f"type pip install 'netslim[{'export' if package == 'onnxruntime' else _EXTRAS[name]}]'"
            ) from error


def _surface(table: Table, piece: Piece) -> Surface:
    points: Any = table.points[piece.kind]
    places = len(piece.widths)
    grid = widths_of(piece, table.conditions.step)
    axes = [tuple(sorted({own[place] for own in grid})) for place in range(places)]
    return Surface(tuple(axes), points, table.conditions.step)


def _blocks(units: Units, groups: Sequence[ChannelGroup], counts: Sequence[int]) -> dict[str, set[int]]:
    """Per residual block that can go, the units that go with it."""
    branches = dict.fromkeys(group.branch for group in groups if group.branch is not None)
    members = {name: [number for number, group in enumerate(groups) if group.branch == name] for name in branches}
    return {name: units.without(own, counts) for name, own in members.items() if name is not None}
