"""`netslim prune` of an ONNX file: a network whose source is lost. What is written is an ONNX file again."""

from __future__ import annotations

import copy
import dataclasses
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from netslim.core.errors import ArgumentError, NetslimError, UsageError, first_line
from netslim.core.files import atomic_write, write_json
from netslim.core.protocols import PrunePlan
from netslim.core.runlog import RunDirectory, RunStatus
from netslim.core.runs.file_names import PLAN
from netslim.deploy import TARGETS
from netslim.deploy.formats.onnx_hash import check_seal, seal
from netslim.deploy.formats.onnx_rewrite import rewritten
from netslim.deploy.onnx_parity import difference_from
from netslim.models.onnx_import import OnnxSource, load_onnx, source_of
from netslim.own_loop.repair import Repair, repair_
from netslim.pruning import Agreement
from netslim.pruning.budget.sensitivity import IMAGES as SEEN
from netslim.report.console import say
from netslim.report.page.beside import write_beside, write_missing
from netslim.report.progress import LayersProgress
from netslim.report.tables import percent
from netslim.stages.prune.config import PruneConfig
from netslim.stages.prune.onnx_images import Files, Reader, files_in
from netslim.stages.prune.planning import decide, proven, recorded, say_plan
from netslim.stages.prune.repairing import BATCHES, IMAGES, check_one_repair
from netslim.stages.prune.rounds import BETWEEN
from netslim.stages.prune.warning_signs import warn_of

PRUNED = "pruned.onnx"
OF_ONNX = ("input_shape", "mean", "std")
CRITERION = "l2_norm"  # by default: exporters fold BatchNorm into convolutions, whose norms are then what is left
TOLERANCE = 1e-3  # of the largest output: what the network that was read may differ from ONNX Runtime
_NETSLIMS = ("depth", "arch", "arch_args", "residual", "image_size", "loss", "metric", "metric_mode")


def run_onnx(config: PruneConfig) -> dict[str, Any]:
    """Prunes the network in the ONNX file `config.model`. Returns what `run.json` records.

    Raises:
        UsageError: settings that make no sense for an ONNX file, a budget that can't be met, onnx is not installed.
        CheckpointError: the file is damaged, quantized, or has operators that are not known.
        NetslimError: the network that was read, or what was written, computes something else than it should.
    """
    _check(config)
    parents = {"model": config.model}
    with RunDirectory(config.save, "prune", config, parents=parents, writes=(PRUNED, PLAN)) as directory:
        if directory.status is RunStatus.FINISHED:
            say(f"{config.save / PRUNED} is finished; nothing to do")
            write_missing(config.save)
            return directory.result
        return _prune(config, directory)


def _check(config: PruneConfig) -> None:
    TARGETS.get("onnx").check("onnx")
    config.refuse(_NETSLIMS, "an ONNX file says by itself what it is; leave it out")
    config.refuse(("dataset",), "an ONNX file is pruned with the images of a folder: type `data_dir='FOLDER'`")
    config.refuse(("steps", *BETWEEN), "a network from an ONNX file is not trained; leave it out")
    if config.criterion == "taylor":
        raise ArgumentError("criterion", config.criterion, "it needs a loss, and an ONNX file has none; type another")
    if config.data_dir is None:
        if config.allocation == "sensitivity":
            raise UsageError("`allocation='sensitivity'` is of images: type `data_dir='FOLDER'`")
        for name in ("reconstruct", "recalibrate", "mean", "std"):
            if getattr(config, name):
                raise UsageError(f"`{name}={getattr(config, name)}` is of images: type `data_dir='FOLDER'`")
    check_one_repair(config)


def _prune(config: PruneConfig, directory: RunDirectory) -> dict[str, Any]:
    start = time.perf_counter()
    network, source = _read(config)
    files = files_in(config.data_dir, config.seed) if config.data_dir else None
    reader = Reader.of(source.inputs[0], config.mean, config.std) if files else None
    example = source.example()
    seen = [*reader.batches(files.fitting[:SEEN])] if reader and files and config.allocation == "sensitivity" else None
    decided = decide(_with_criterion(config), network, example, None, images=seen)  # type: ignore[arg-type]
    directory.begin()
    cut, agreement = proven(network, decided, example)
    small, repair = _repaired(config, network, cut, example, files, reader)
    content = _content(small, source, decided)
    difference = difference_from(content, small, source)
    _check_difference(difference, "what would be written differs from the pruned network")
    accuracy = _accuracies(network, small, files, reader)
    result = _result(config, decided, agreement, repair, difference, accuracy)
    _print(decided, result, repair)
    warn_of(decided, agreement, {}, None)
    write_json(config.save / PLAN, decided.to_dict())
    atomic_write(config.save / PRUNED, content)
    result["seconds"] = time.perf_counter() - start
    directory.finish(result)
    write_beside(config.save)
    say(f"wrote {config.save / PRUNED} ({len(content):,} bytes), {config.save / PLAN}")
    return result


def _read(config: PruneConfig) -> tuple[fx.GraphModule, OnnxSource]:
    """The network, which computes what ONNX Runtime does with the file."""
    if config.model.is_file():
        check_seal(config.model.read_bytes(), config.model)
    network = load_onnx(config.model, _shape(config.input_shape))
    source = source_of(network)
    if source is None:
        raise NetslimError(f"{config.model} was read without its source")
    found = difference_from(str(config.model), network, source)
    _check_difference(found, f"the network that was read from {config.model} differs from ONNX Runtime")
    inputs = ", ".join(f"{port.name} {'x'.join(map(str, port.shape))}" for port in source.inputs)
    say(f"read {config.model}: {inputs}; differs from ONNX Runtime by {found:.1e} of its largest output")
    for line in source.fixed:
        say(f"in what is written, {line}; `input_shape` says another size")
    if source.rest:
        say(source.rest)
    return network, source


def _check_difference(found: float, what: str) -> None:
    if not found <= TOLERANCE:
        raise NetslimError(
            f"{what} by {found:.1e} of its largest output (allowed: {TOLERANCE:.0e}); nothing was written"
        )


def _shape(text: str | None) -> list[int] | None:
    """`3x48x320` with a batch in front. Raises ArgumentError."""
    if text is None:
        return None
    with suppress(ValueError):
        sides = [int(word) for word in text.lower().split("x")]
        if min(sides) > 0:
            return [2, *sides]
    raise ArgumentError("input_shape", text, "type the sides of one input without the batch, as 3x224x224")


def _with_criterion(config: PruneConfig) -> PruneConfig:
    if "criterion" in config.model_fields_set:
        return config
    say(f"criterion  {CRITERION}: exporters fold BatchNorm away")
    return config.model_copy(update={"criterion": CRITERION})


def _repaired(
    config: PruneConfig,
    network: nn.Module,
    small: nn.Module,
    example: Tensor | tuple[Tensor, ...],
    files: Files | None,
    reader: Reader | None,
) -> tuple[nn.Module, Repair]:
    """The network with its layers fitted on images of the folder, or what can be done without, and what was done.

    Where layers can't be fitted (too few images, too little memory) a line says why, unless it was asked for.
    """
    batches: list[Tensor] = []
    if files and reader:
        count = BATCHES * 128 if config.recalibrate else IMAGES if config.reconstruct is None else config.reconstruct
        batches = [*reader.batches(files.fitting[: 0 if config.recalibrate == 0 else count])]
        say(f"images     {sum(map(len, batches)):,} of {config.data_dir}, {reader}")
    if batches and not config.recalibrate:
        fitted = small if config.reconstruct else copy.deepcopy(small)
        try:
            return fitted, _repair(config, network, fitted, example, batches, fits=True)
        except (NetslimError, torch.OutOfMemoryError) as error:
            if config.reconstruct:
                raise
            say(f"layers are not fitted: {first_line(error)}")
    return small, _repair(config, network, small, example, batches, fits=False)


def _repair(
    config: PruneConfig,
    network: nn.Module,
    small: nn.Module,
    example: Tensor | tuple[Tensor, ...],
    batches: Sequence[Tensor],
    *,
    fits: bool,
) -> Repair:
    """Fits layers, or measures the statistics of the file's BatchNorm, if it has any."""
    measured = batches if fits or any(isinstance(part, _BatchNorm) for part in small.modules()) else []
    with LayersProgress("fitting layers") as shown:
        done = repair_(
            small, network, measured, example=example, absorb=config.absorb, reconstruct=fits, progress=shown.layer
        )
    return dataclasses.replace(done, dataset=str(config.data_dir) if measured else "")


def _content(small: nn.Module, source: OnnxSource, decided: PrunePlan) -> bytes:
    facts = {
        "netslim": 1,
        "target": "onnx",
        "source": source.path.name,
        "params": decided.after.params,
        "macs": decided.after.macs,
        "plan": decided.to_dict(),
    }
    if not isinstance(small, fx.GraphModule):
        raise NetslimError("the pruned network is no graph any more")
    try:
        content: bytes = rewritten(small, source, {"netslim": json.dumps(facts)}).SerializeToString()
    except ValueError as error:  # protobuf's limit
        raise NetslimError(f"the pruned network is too large for one ONNX file: {error}") from error
    return seal(content)


def _accuracies(network: nn.Module, small: nn.Module, files: Files | None, reader: Reader | None) -> dict[str, float]:
    """Top-1 on the images that no layer was fitted on, where there are as many class folders as outputs."""
    if files is None or reader is None or not files.judged:
        return {}
    right, seen = {"top1_before": 0, "top1": 0}, 0
    labels = torch.tensor([label for _, label in files.judged])
    for images in reader.batches([file for file, _ in files.judged]):
        for name, model in (("top1_before", network), ("top1", small)):
            with torch.inference_mode():
                logits = model(images)
            if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[1] != len(files.classes):
                say(f"{len(files.classes)} folders of classes are no outputs of the network: no accuracy is measured")
                return {}
            right[name] += int((logits.argmax(1) == labels[seen : seen + len(images)]).sum())
        seen += len(images)
    return {name: count / seen for name, count in right.items()} | {"test_images": seen}


def _result(
    config: PruneConfig,
    decided: PrunePlan,
    agreement: Agreement,
    repair: Repair,
    difference: float,
    accuracy: dict[str, float],
) -> dict[str, Any]:
    return {
        "file": str(config.save / PRUNED),
        **recorded(decided),
        "max_difference": agreement.max_difference,
        "runtime_difference": difference,
        **repair.to_dict(),
        **accuracy,
    }


def _print(decided: PrunePlan, result: dict[str, Any], repair: Repair) -> None:
    say_plan(decided)
    say(f"largest difference of an output, masked to pruned: {result['max_difference']:.1e}")
    for line in repair.lines():
        say(line)
    say(f"ONNX Runtime differs from the pruned network by {result['runtime_difference']:.1e} of its largest output")
    if "top1" in result:
        said = f"{percent(result['top1_before'], 2)} before, {percent(result['top1'], 2)} now"
        say(f"top-1 {said}, on {result['test_images']:,} images that no layer was fitted on")
