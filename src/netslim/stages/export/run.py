"""`netslim export`: a network made for inference, in a file of the target's kind."""

from pathlib import Path
from typing import Any

import torch

from netslim.core.errors import ArgumentError, either
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.running import running
from netslim.core.processes.allocator import keep_freed_memory
from netslim.deploy import TARGETS, Exported, export
from netslim.deploy.artifact import check_path
from netslim.deploy.form_search import Search
from netslim.deploy.inference import SELECTIONS
from netslim.network import read
from netslim.report.console import console, say
from netslim.report.tables import print_table, size
from netslim.stages.export.config import ExportConfig
from netslim.stages.export.facts import export_facts
from netslim.stages.export.int8 import asked, int8_facts, print_int8
from netslim.stages.export.output import output_of
from netslim.stages.shared.example_input import example_input
from netslim.stages.shared.networks import loader, open_network


def run(config: ExportConfig) -> dict[str, Any]:
    """Exports the network in `config.model`.

    Raises:
        UsageError: an unknown target or form, a missing package, an output of another kind.
        CheckpointError: the file.
        NetslimError: the output can't be written, or computes something else.
    """
    target = TARGETS.get(config.target)
    target.check(config.target)
    if config.selection not in (None, *SELECTIONS):
        raise ArgumentError("selection", config.selection, f"type {either(SELECTIONS)}, or leave it out: zeros")
    output = output_of(config.model, config.target, config.output)
    check_path(output, config.target)
    checkpoint = read(config.model)
    model = open_network(checkpoint, config.model, config.arch, config.arch_args).eval()
    side, several = config.image_size, (checkpoint.dataset or {}).get("inputs")
    if side and several:
        raise ArgumentError("image_size", side, f"{config.model} holds a network of several inputs; leave it out")
    shape = {**(checkpoint.dataset or {}), "image_size": (side, side)} if side else checkpoint.dataset
    example = example_input(model, shape, batch=max(2, config.batch_size))
    inputs = Inputs.of(example)
    with running(model, inputs.map(TensorSpec.of)), torch.no_grad():  # exporters wrap what it says
        inputs.call(model)
    keep_freed_memory()  # as `netslim bench`, which remembers forms, too
    with console().status("") as status:
        int8 = asked(config, checkpoint, model, lambda text: status.update(f"int8: {text}"))
        status.update("forms, then the file, and whether it computes the same")
        found = export(
            model,
            example,
            output,
            config.target,
            facts=export_facts(model, checkpoint, config.model),
            reopen=loader(config.arch, config.arch_args),
            search=_search(config),
            numbers=int8.quantization if int8 else "half" if config.half else None,
        )
    _print(found, config.batch_size)
    if int8 and found.int8:
        print_int8(found.int8, int8, config.batch_size, output)
    return {
        "file": str(output),
        "target": config.target,
        "form": found.choice.form.to_dict() if found.choice else None,
        "measured": {str(form): time.median for form, time in found.choice.measured.items()} if found.choice else {},
        "batch_size": config.batch_size,
        "max_difference": found.difference,
        "params": found.params,
        "bytes": _bytes(output),
        **({"int8": int8_facts(found.int8, int8)} if int8 and found.int8 else {}),
    }


def _search(config: ExportConfig) -> Search:
    return Search(
        selection=config.selection,
        multiple=config.pad,
        layout=config.layout,
        bounds=config.bounds,
        batch=config.batch_size,
        seconds=config.seconds,
    )


def _print(found: Exported, batch: int) -> None:
    if found.note:
        say(found.note)
    choice = found.choice
    if choice:
        rows = [
            (
                form.selection,
                form.multiple,
                form.layout,
                "bounds" if form.bounds else "as it is",
                f"{1e3 * time.median:.2f}",
                "<-" if form == choice.form else "",
            )
            for form, time in choice.measured.items()
        ]
        if choice.is_remembered:
            say("forms as they were measured on this machine before; more `seconds` measure them again")
        if rows:
            print_table(["selection", "multiple of", "layout", "BatchNorm", f"ms at batch {batch}", "chosen"], rows)
    say(
        f"wrote {found.path} ({_bytes(found.path):,} bytes, {size(found.params)} parameters); largest difference from "
        f"the trained network at batch 1, 2 and 7: {found.difference:.1e} of its largest output"
    )


def _bytes(path: Path) -> int:
    files = [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
