"""`netslim bench`: latency, throughput and memory of networks side by side."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from rich.status import Status
from torch import Tensor

from netslim.core.errors import ArgumentError, UsageError
from netslim.core.files import check_writable
from netslim.core.processes.allocator import keep_freed_memory
from netslim.core.runs.environment import commit, hardware, versions
from netslim.cost import Latency, measure_latency, torch_threads
from netslim.cost.energy import energy_per_call
from netslim.deploy.inference import Form
from netslim.deploy.opening import Opened, check_engines, open_file
from netslim.deploy.opening import engines as known_engines
from netslim.deploy.peak_memory import peak_memory
from netslim.network import read
from netslim.report.console import console, say
from netslim.report.csv_files import write_csv
from netslim.report.figures.speed import draw_speed
from netslim.report.tables import print_table
from netslim.stages.bench.config import BenchConfig
from netslim.stages.shared.example_input import example_input
from netslim.stages.shared.lists import listed
from netslim.stages.shared.networks import loader

TABLE, PICTURE = "bench.csv", "bench.png"
MOST_THREADS = 1024  # more are no machine's, and to start them takes minutes
_DIGITS = 20  # of a number that is read
_NOT_TIMED = "which are not timed here: in Python netslim.cost.measure_latency does"
PER_FORM = 0.2  # of the time of a measurement, for each form that a checkpoint's network is tried in


def run(config: BenchConfig) -> dict[str, Any]:
    """Measures `config.files`; the first is what the others are compared with.

    Raises:
        UsageError: an unknown engine, no number where one belongs, files for different inputs.
        CheckpointError: a file.
    """
    engines, batches, threads = check(config)
    for name in (TABLE, PICTURE):
        check_writable(config.save / name)
    keep_freed_memory()  # else large batches time the clearing of pages
    files = [open_file(path, loader(config.arch, config.arch_args), config.trust) for path in config.files]
    able = [engine for engine in known_engines() if any(engine in file.engines for file in files)]
    if not {*able} & {*engines}:
        choice = f"type `engines={','.join(able)!r}`"
        raise ArgumentError("engines", config.engines, f"none of them runs any of these files; {choice}")
    shape = _shape(config, files)
    rows, turns = [], [*product(engines, threads, batches)]
    with console().status("") as status:
        for number, (engine, count, batch) in enumerate(turns, start=1):
            images = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))
            where = f"{number} of {len(turns)}: {engine}, {count} thread{'s' * (count > 1)}, batch {batch}"
            rows += _measure(config, files, engine, images, count, partial(_show, status, where))
    _compare(rows)
    _report(config, rows)
    return {"rows": rows, "table": str(config.save / TABLE), "picture": str(config.save / PICTURE)}


def check(config: BenchConfig) -> tuple[list[str], list[int], list[int]]:
    """Engines, batch sizes and numbers of threads. Raises UsageError for those that can't be measured here."""
    engines = listed(config.engines)
    check_engines(engines)
    batches = _numbers("batch_sizes", config.batch_sizes)
    threads = _numbers("threads", config.threads, MOST_THREADS) if config.threads else [torch.get_num_threads()]
    return engines, batches, threads


def _show(status: Status, where: str, what: str) -> None:
    status.update(f"{where}: {what}")


def _measure(
    config: BenchConfig,
    files: Sequence[Opened],
    engine: str,
    images: Tensor,
    threads: int,
    show: Callable[[str], None],
) -> list[dict[str, Any]]:
    """One row per file that the engine can run, all of them timed in turns."""
    able = {number: file for number, file in enumerate(files) if engine in file.engines}
    forms, calls = {}, {}
    with torch_threads(threads), torch.inference_mode():
        for number, file in able.items():
            show(f"the fastest form of {file.path}")
            forms[number] = file.form(engine, images, PER_FORM * config.seconds)
            calls[str(number)] = file.call(engine, images, forms[number], threads)
        show("times, in turns")
        times = measure_latency(calls, seconds=config.seconds) if calls else {}
        joules = {number: energy_per_call(calls[str(number)], config.seconds) for number in able}
    rows = []
    for number, file in able.items():
        row = _row(file, engine, images, threads, times[str(number)], forms[number])
        if (energy := joules[number]) is not None:
            row["joules_per_image"] = energy / len(images)
        if config.memory:
            show(f"the peak memory of {file.path}")
            load = loader(config.arch, config.arch_args)
            shape = tuple(images.shape)
            row["memory_bytes"] = peak_memory(file.path, load, engine, shape, forms[number], threads, config.trust)
        rows.append({"number": number, **row})
    return rows


def _row(file: Opened, engine: str, images: Tensor, threads: int, time: Latency, form: Form | None) -> dict[str, Any]:
    return {
        "file": str(file.path),
        "engine": engine,
        "threads": threads,
        "batch_size": len(images),
        "form": str(form) if form else "as exported",
        "median_seconds": time.median,
        "lower_quartile_seconds": time.lower_quartile,
        "upper_quartile_seconds": time.upper_quartile,
        "runs": time.runs,
        "images_per_second": len(images) / time.median,
        "macs": file.macs_at(tuple(images.shape[1:])),
    }


def _compare(rows: Sequence[dict[str, Any]]) -> None:
    """Adds the speed-up over the first file, the ratio of MACs, and the share of it that was reached."""
    first = {_place(row): row for row in rows if row["number"] == 0}
    for row in rows:
        base = first.get(_place(row))
        row["speed_up"] = base["median_seconds"] / row["median_seconds"] if base else None
        both = base and base["macs"] and row["macs"]
        row["mac_ratio"] = base["macs"] / row["macs"] if both and base else None
        row["share"] = row["speed_up"] / row["mac_ratio"] if row["mac_ratio"] else None


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["engine"], row["threads"], row["batch_size"]


def _report(config: BenchConfig, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = ["file", "engine", "threads", "batch", "ms", "quartiles", "images/s", "speed-up", "MACs ratio", "share"]
    columns += ["peak MB"] if config.memory else []
    columns += ["mJ/image"] if "joules_per_image" in rows[0] else []
    print_table(columns, [_cells(row) for row in rows])
    facts = {**hardware(), **versions(), "commit": commit()}
    draw_speed(rows, config.save / PICTURE)
    write_csv(config.save / TABLE, [{**row, **facts} for row in rows])  # last: where it is, nothing is measured again
    say(f"wrote {config.save / TABLE}, {config.save / PICTURE}")


def _cells(row: Mapping[str, Any]) -> list[object]:
    low, middle, high = (1e3 * row[f"{name}_seconds"] for name in ("lower_quartile", "median", "upper_quartile"))
    ratios = [f"{row[name]:.2f}" if row[name] else "" for name in ("speed_up", "mac_ratio", "share")]
    memory = [f"{row['memory_bytes'] / 1e6:.1f}"] if "memory_bytes" in row else []
    rate = f"{row['images_per_second']:,.0f}"
    spread = f"{low:.2f}-{high:.2f}"
    place = [row["file"], row["engine"], row["threads"], row["batch_size"]]
    energy = [f"{1e3 * row['joules_per_image']:.2f}"] if "joules_per_image" in row else []
    return [*place, f"{middle:.2f}", spread, rate, *ratios, *memory, *energy]


def _shape(config: BenchConfig, files: Sequence[Opened]) -> tuple[int, ...]:
    """The input's shape (C, H, W) that all files take."""
    fixed = {file.shape for file in files if file.shape}
    if len(fixed) > 1:
        raise UsageError(f"these files are for different inputs ({', '.join(map(str, fixed))}): measure them apart")
    side = config.image_size
    if fixed:
        (shape,) = fixed
        if side and shape[1:] != (side, side):
            raise ArgumentError("image_size", side, f"a file is for inputs of shape {shape}; leave `image_size` out")
        return shape
    model = files[0].model
    recorded = read(files[0].path).dataset if model is not None else None
    facts = {**(recorded or {}), "image_size": (side, side)} if side else recorded
    if model is None:
        raise UsageError(f"{files[0].path} does not say the shape of one input: it may take several, {_NOT_TIMED}")
    example = example_input(model, facts)
    if not isinstance(example, Tensor):
        raise UsageError(f"{files[0].path} holds a network of several inputs, {_NOT_TIMED}")
    return tuple(example.shape[1:])


def _numbers(name: str, text: str, most: int = 1_000_000) -> list[int]:
    numbers = [int(part) if part.isdecimal() and len(part) < _DIGITS else 0 for part in listed(text)]
    if min(numbers) < 1 or max(numbers) > most:
        raise ArgumentError(name, text, f"type numbers from 1 to {most}, with commas between")
    return numbers
