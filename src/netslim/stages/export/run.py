"""`netslim export`: a network made for inference, in a file of the target's kind."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import ArgumentError, UsageError, either
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.running import running
from netslim.core.networks.trees import Batch
from netslim.core.processes.allocator import keep_freed_memory
from netslim.deploy import TARGETS, Exported, export
from netslim.deploy.artifact import check_numbers, check_path
from netslim.deploy.form_search import Search
from netslim.deploy.formats.onnx_hash import check_seal, facts_in, metadata_of
from netslim.deploy.inference import SELECTIONS
from netslim.models.onnx_import import is_onnx, load_onnx, source_of
from netslim.network import read
from netslim.report.console import console, say
from netslim.report.tables import print_table, size
from netslim.stages.export.config import ExportConfig
from netslim.stages.export.facts import export_facts
from netslim.stages.export.int8 import asked, int8_facts, print_int8
from netslim.stages.export.output import output_of
from netslim.stages.export.qat import written_with_qat
from netslim.stages.shared.datasets import shown_normalization
from netslim.stages.shared.example_input import example_input
from netslim.stages.shared.networks import loader, sound_network

FORM = ("selection", "pad", "layout", "clamp")  # of a network for inference


def run(config: ExportConfig) -> dict[str, Any]:
    """Exports the network in `config.model`.

    Raises:
        UsageError: an unknown target or form, a missing package, an output of another kind.
        CheckpointError: the file.
        NetslimError: the output can't be written, or computes something else.
    """
    check(config)
    output = output_of(config.model, config.target, config.output)
    check_path(output, config.target)
    checkpoint, model, example = _of_onnx(config) if is_onnx(config.model) else _of_checkpoint(config)
    keep_freed_memory()  # as `netslim bench`, which remembers forms, too
    with console().status("") as status:
        int8 = asked(config, checkpoint, model, lambda text: status.update(f"int8: {text}"))
        status.update("forms, then the file, and whether it computes the same")
        write = partial(
            export,
            example=example,
            target=config.target,
            facts=export_facts(model, checkpoint, config.model),
            reopen=loader(config.arch, config.arch_args),
            search=_search(config),
        )
        if int8 and config.qat:
            found = written_with_qat(model, output, int8, config, write)
        else:
            found = write(model, path=output, numbers=int8.quantization if int8 else "half" if config.half else None)
    _print(found, config.batch_size)
    if normalization := shown_normalization(checkpoint.dataset):
        say(f"it takes images of 0 to 1, normalised by {normalization}")
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


def check(config: ExportConfig) -> None:
    """Raises UsageError for what no network can be exported with: by a recipe, before its first step."""
    target = TARGETS.get(config.target)
    check_numbers(config.target, "half" if config.half else config.int8 or config.int8_always)
    target.check(config.target)
    if not target.for_inference:
        config.refuse(FORM, f"target {config.target} holds the network as it was trained: leave it out")
    if config.selection not in (None, *SELECTIONS):
        raise ArgumentError("selection", config.selection, f"type {either(SELECTIONS)}, or leave it out: zeros")


def _of_checkpoint(config: ExportConfig) -> tuple[Checkpoint, nn.Module, Batch]:
    """What a file holds, its network, and an input of it that runs."""
    checkpoint = read(config.model)
    model = sound_network(checkpoint, config.model, config.arch, config.arch_args).eval()
    side, several = config.image_size, (checkpoint.dataset or {}).get("inputs")
    if side and several:
        raise ArgumentError("image_size", side, f"{config.model} holds a network of several inputs; leave it out")
    shape = {**(checkpoint.dataset or {}), "image_size": (side, side)} if side else checkpoint.dataset
    example = example_input(model, shape, batch=max(2, config.batch_size))
    inputs = Inputs.of(example)
    with running(model, inputs.map(TensorSpec.of)), torch.no_grad():  # exporters wrap what it says
        inputs.call(model)
    return checkpoint, model, example


def _of_onnx(config: ExportConfig) -> tuple[Checkpoint, nn.Module, Batch]:
    """The same of an ONNX file, which becomes a torch graph."""
    config.refuse(("arch", "arch_args", "image_size"), "an ONNX file says by itself what it is; leave it out")
    if not TARGETS.get(config.target).for_inference:
        raise ArgumentError("target", config.target, "it is for networks that netslim trains; type another")
    if config.model.is_file():
        check_seal(config.model.read_bytes(), config.model)
    network = load_onnx(config.model)
    source = source_of(network)
    port = source.inputs[0] if source else None
    if source is None or port is None or len(source.inputs) > 1 or not port.free[:1] == (True,):
        raise UsageError(f"{config.model} is for one batch size, or takes several inputs: it can't be exported again")
    checkpoint = Checkpoint(state_dict={}, dataset=facts_in(metadata_of(source.proto)).get("dataset"))
    return checkpoint, network, torch.randn(max(2, config.batch_size), *port.shape[1:])


def _search(config: ExportConfig) -> Search:
    return Search(
        selection=config.selection,
        multiple=config.pad,
        layout=config.layout,
        clamp=config.clamp,
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
                "clamp" if form.clamp else "as it is",
                f"{1e3 * time.median:.2f}",
                "<-" if form == choice.form else "",
            )
            for form, time in choice.measured.items()
        ]
        if choice.is_remembered:
            say("forms as they were measured on this machine before; more `seconds` measure them again")
        if rows:
            times = f"ms{' in int8' * choice.int8} at batch {batch}"
            print_table(["selection", "multiple of", "layout", "BatchNorm", times, "chosen"], rows)
    say(
        f"wrote {found.path} ({_bytes(found.path):,} bytes, {size(found.params)} parameters); largest difference from "
        f"the trained network at batch 1, 2 and 7: {found.difference:.1e} of its largest output"
    )


def _bytes(path: Path) -> int:
    files = [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
