"""`netslim profile`: the table of times that plans for a latency go by; made here, or brought from another machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from netslim.core.errors import UsageError
from netslim.core.networks.example import Inputs
from netslim.cost.time_model import TimeModel
from netslim.dependency.groups import BoundGroup, groups_of
from netslim.deploy.latency import Engine
from netslim.deploy.latency.exchange import read_times, write_pieces
from netslim.deploy.latency.table import Table, kept_at
from netslim.network import read
from netslim.report.console import say
from netslim.report.progress import LayersProgress
from netslim.stages.profile.config import ProfileConfig
from netslim.stages.shared.example_input import example_input
from netslim.stages.shared.networks import sound_network

NOISY = 0.25  # drift


def run(config: ProfileConfig) -> dict[str, Any]:
    """Measures the parts of the network in `config.model`, or writes them, or reads what they take elsewhere.

    Raises:
        UsageError: an engine that is unknown or not installed, export and import at once.
        CheckpointError: a file.
    """
    if config.export_to and config.import_from:
        raise UsageError("`export_to` writes parts and `import_from` reads their times: one after the other")
    if config.import_from and config.save is None:
        raise UsageError(
            "`import_from` makes a table of another machine, which has no place here: type `save=table.json`"
        )
    if config.export_to and (config.int8 or config.engine not in ("onnxruntime", "openvino")):
        raise UsageError(
            "`export_to` writes parts as ONNX files in float: for `engine='onnxruntime'` or `engine='openvino'`, "
            "without `int8`"
        )
    checkpoint = read(config.model)
    model = sound_network(checkpoint, config.model, config.arch, config.arch_args).eval()
    side = config.image_size
    facts = {**(checkpoint.dataset or {}), "image_size": (side, side)} if side else checkpoint.dataset
    example = example_input(model, facts)
    if not isinstance(example, Tensor):
        raise UsageError(f"{config.model} takes several inputs: only parts of networks of one are timed")
    groups = groups_of(model, Inputs.of(example), config.residual).groups
    with LayersProgress("timing parts") as shown:
        engine = Engine(
            config.engine, batch_size=config.batch_size, threads=config.threads, int8=config.int8, progress=shown.layer
        )
        if config.export_to:
            return _export(config.export_to, engine, engine.pieces_of(model, example, _cuts(groups)))
        if config.import_from:
            engine.table = read_times(config.import_from, engine.conditions)
            engine.is_here = False
        counts = [len(own.channels) for own in groups]
        times = engine.times_of(model, example, [(own.group, own.slices) for own in groups], counts)
    return _say(config, engine, times, counts)


def _cuts(groups: Sequence[BoundGroup]) -> list[Any]:
    return [own.slices for own in groups]


def _export(folder: Path, engine: Engine, pieces: Sequence[Any]) -> dict[str, Any]:
    count = write_pieces(folder, pieces, engine.conditions)
    say(f"wrote {count} parts and README.md to {folder}: it says how to time them; then type")
    say(f"netslim profile MODEL with `import_from={str(folder / 'times.csv')!r}` and `save='table.json'`")
    return {"folder": str(folder), "pieces": count}


def _say(config: ProfileConfig, engine: Engine, times: TimeModel, counts: Sequence[int]) -> dict[str, Any]:
    table = engine.opened
    whole = times.at([0] * len(counts))
    say(f"{table.conditions}: {_points(table)} times of {len(table.points)} kinds of parts")
    say(f"this network's {len(times.parts)} parts take {whole * 1e3:.3g} ms together")
    if table.drift > NOISY:
        say(
            f"one and the same part took up to {table.drift:.0%} longer at other times: something else ran here; plans "
            f"put that right by running whole networks, but a table from an idle machine is better"
        )
    path = kept_at(table.conditions) if engine.is_here else None
    if config.save:
        table.write(config.save)
        path = config.save
    if path is None or path.is_file():
        say(f"kept in {path}")
    return {"table": str(path), "parts": len(times.parts), "seconds": whole, "drift": table.drift}


def _points(table: Table) -> str:
    return f"{sum(len(own) for own in table.points.values()):,}"
