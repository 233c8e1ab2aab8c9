"""From a trained network to a file of some target that has been shown to compute the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor, nn

from netslim.core.errors import ArgumentError, NetslimError, UsageError, unknown_name
from netslim.core.files import check_replaceable, check_writable, put_in_place
from netslim.core.networks.copies import copied
from netslim.core.networks.example import Inputs
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.wrappers import check_network
from netslim.core.protocols import ArchSpec, PrunableModel, plan_of
from netslim.core.safetensors_folder import CONFIG, read_folder
from netslim.cost import measure
from netslim.cost.params import count_params
from netslim.deploy.form_memory import fastest_form
from netslim.deploy.form_search import Choice, Search
from netslim.deploy.fx_graph import UntraceableError, scripted_part
from netslim.deploy.inference import LAYOUTS, check_runs, shaped, simplified
from netslim.deploy.int8.request import Quantization, Quantized
from netslim.deploy.parity import HALF_TOLERANCE, check_parity
from netslim.deploy.signature import Example, ExportInputs
from netslim.deploy.target import TARGETS, Bundle, Target

# What names of files end in. Names of folders have dots, too: `v1.0`, `resnet18.a1_in1k-eager`, `model.pth-eager`.
_FILES = (".bin", ".onnx", ".pt", ".pt2", ".pte", ".pth", ".py", ".safetensors", ".tar", ".tflite", ".xml")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        path: the file or folder.
        difference: largest difference of an output from the trained network's, relative to the largest output.
        choice: the form and what the others took, or None where the trained network itself was written.
        params: parameters in the file, padding included.
        note: why there is no form, or None.
        int8: the network in 8-bit integers, if that was asked for, and whether the file holds it.
    """

    path: Path
    difference: float
    choice: Choice | None
    params: int
    note: str | None = None
    int8: Quantized | None = None


def export(
    model: nn.Module,
    example: Example,
    path: str | Path,
    target: str = "onnx",
    *,
    search: Search | None = None,
    facts: Mapping[str, Any] | None = None,
    reopen: Callable[[Path], nn.Module] | None = None,
    numbers: Quantization | Literal["half"] | None = None,
) -> Exported:
    """Writes a network, pruned or not, to a file for inference that is shown to compute the same.

    Its outputs are compared at batch 1, 2 and 7 before the file is put in place. Several outputs of any nesting keep
    the order of torch's pytree; in ONNX their paths are their names (`{"logits": x, "list": [y]}`: `logits`, `list_0`).

    Args:
        model: any network; left unchanged.
        example: an input tensor (images: (N, C, H, W)), a tuple of inputs, or a dict of inputs by keyword. The
            batch size stays free.
        path: where the file or folder goes.
        target: `onnx`, `pt2`, `eager` or `safetensors`, or any other registered name.
        search: which forms are timed to take the fastest; default: one good form, and nothing is timed.
        facts: what the file says of itself, besides its cost and form; default: architecture and plan.
        reopen: builds a network from a folder of target safetensors; default: loads it into a copy of `model`.
        numbers: of 32 bits by default. "half": weights of 16, in half the size; outputs may then differ by 2e-2. Images
            and a judge: integers of 8 bits, if they are faster on this machine; then the judge compares. Whichever it
            is, the file is float32 first, and compared as such. Target onnx only.

    Raises:
        UsageError: unknown target or form, a missing package, a path of another kind, numbers that a
            target lacks, a network that does not run on the example, or one with weights of 16 bits (`safetensors`
            alone takes it).
        DataError: the calibration images are all the same.
        ParityError: the exported network computes something else.
        NetslimError: the network can't be written as this target, or the path can't be written to.

    >>> import tempfile, torch, netslim
    >>> model, folder = netslim.create_model("resnet", depth=11, num_classes=10), tempfile.TemporaryDirectory()
    >>> written = netslim.export(model, torch.randn(2, 3, 16, 16), f"{folder.name}/small", "safetensors")
    >>> written.params, written.difference, sorted(file.name for file in written.path.iterdir())
    (126746, 0.0, ['config.json', 'model.safetensors'])
    >>> folder.cleanup()
    """
    check_network(model)
    if not isinstance(path, str | Path):
        raise UsageError(f"a path of type {type(path).__name__}: the order is export(model, example, path)")
    path, kind = Path(path), TARGETS.get(target)
    check_numbers(target, numbers)  # before the package: it would be installed in vain
    kind.check(target)
    check_path(path, target)
    model, inputs = _on_cpu(model, ExportInputs.of(example).several())
    _check_free_batch(model, inputs)
    example = inputs.args[0] if isinstance(example, Tensor) else dict(inputs.kwargs) or inputs.args
    with evaluation_mode(model):
        search = search or Search(selection="zeros", multiple=1, layout="nchw", clamp=kind.clamp)
        why, choice, network = _inference(model, example, kind, search)
        given = {"netslim": 1, "target": target, **(_described(model) if facts is None else facts)}
        given |= _cost(model, example)
        reopen = reopen or partial(_reloaded, model)
        bundle = Bundle(model=model, network=network, example=example, facts=given, reopen=reopen, why=why)
        done = None
        with put_in_place(path) as temporary:
            difference = _write(_in_form(bundle, choice), kind, target, temporary)
            if numbers == "half":
                kind.halve(temporary)
                difference = check_parity(model, kind.open(bundle, temporary), example, target, HALF_TOLERANCE)
            if isinstance(numbers, Quantization):
                other = _form_for_int8(bundle, kind, search, choice)
                done = _quantized(bundle, kind, target, temporary, numbers, other)
                if other and done.written:
                    choice, network = other
    note = f"{why}; exported as it is" if why else None
    return Exported(path=path, difference=difference, choice=choice, params=count_params(network), note=note, int8=done)


def check_path(path: Path, target: str) -> None:
    """Raises UsageError if `path` is of another kind than the target's, NetslimError if it can't be written to."""
    suffix = TARGETS.get(target).suffix
    if suffix:
        if path.suffix != suffix:
            others = [name for name in TARGETS.names() if path.suffix == TARGETS.get(name).suffix != ""]
            meant = "".join(f", or `target={name!r}`" for name in others)
            raise ArgumentError("output", path, f"target {target} writes a {suffix} file; type {path}{suffix}{meant}")
        check_writable(path)
        return
    if path.is_file() or path.suffix in _FILES:
        raise ArgumentError("output", path, f"target {target} writes a folder; type {path.with_suffix('')}-{target}")
    if path.is_dir() and any(path.iterdir()) and not (path / CONFIG).is_file():
        raise ArgumentError("output", path, "the folder is in use and is no earlier export; type another name")
    check_replaceable(path)


def check_numbers(target: str, numbers: object) -> None:
    """Raises UsageError if a target's files hold numbers of 32 bits only, and others are asked for."""
    half = numbers == "half"
    able = [name for name in TARGETS.names() if (TARGETS.get(name).has_half if half else TARGETS.get(name).has_int8)]
    if numbers and target not in able:
        what = "16-bit weights" if half else "int8"
        raise ArgumentError("target", target, f"it has no {what}; type {' or '.join(f'`target={n!r}`' for n in able)}")


def _check_free_batch(model: nn.Module, inputs: ExportInputs) -> None:
    """Raises UsageError for a network that does not run on the example, or not on a part of its batch."""
    check_runs(model, inputs)
    try:
        check_runs(model, inputs.map(lambda leaf: leaf[:1] if inputs.batched(leaf) else leaf))
    except UsageError as error:
        raise UsageError(f"{error} (the first size of an example is its batch, and a file is for any)") from error


def _on_cpu(model: nn.Module, inputs: ExportInputs) -> tuple[nn.Module, ExportInputs]:
    """Files are for a CPU: a network that is elsewhere is copied there."""
    if all(tensor.device.type == "cpu" for tensor in (*inputs.tensors, *model.parameters(), *model.buffers())):
        return model, inputs
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise UsageError(f"{type(model).__name__} is on the meta device: load its weights, then export it")
    return copied(model).cpu(), inputs.map(Tensor.cpu)


def _inference(
    model: nn.Module, example: Example, kind: Target, search: Search, *, int8: bool = False
) -> tuple[str | None, Choice | None, nn.Module]:
    """The network in its fastest form; or itself, and why."""
    if not kind.for_inference:
        return None, None, model
    _check_precision(model)
    if (scripted := scripted_part(model)) is not None:
        raise UsageError(
            f"'{scripted}' is scripted, which no exporter takes: put the module it was made of in its place"
        )
    if search.layout not in (None, *LAYOUTS):
        raise unknown_name("layout", str(search.layout), LAYOUTS)
    if search.layout not in (None, *kind.layouts):
        raise ArgumentError("layout", search.layout, f"this target has {', '.join(kind.layouts)} only; leave it out")
    single = isinstance(example, Tensor) and example.is_floating_point()
    if not single and not kind.takes_several:
        return "the input is no single tensor of real numbers", None, model
    inputs = Inputs.of(example)
    if any(not isinstance(part, Tensor) for part in (*inputs.args, *inputs.kwargs.values())):
        return "its inputs are not tensors, one by one", None, model
    try:
        network = simplified(model, example[:2] if isinstance(example, Tensor) else inputs)
    except UntraceableError as error:
        return str(error), None, model
    if not isinstance(example, Tensor) or not single:
        form = search.forms(kind)[0]  # of several inputs no form is timed
        return None, Choice(form=form, measured={}), shaped(network, tuple(inputs.tensors), form)
    choice = fastest_form(model, network, example[: search.batch], kind, search, int8=int8)
    return None, choice, shaped(network, example[:2], choice.form)


def _check_precision(model: nn.Module) -> None:
    """Raises UsageError for weights of 16 bits, in which no other form of a network gives the same to four digits."""
    kind = next((own.dtype for own in model.parameters() if own.dtype in (torch.float16, torch.bfloat16)), None)
    if kind is not None:
        raise UsageError(
            f"{type(model).__name__} has weights of {str(kind).removeprefix('torch.')}, too coarse to compare a file "
            f"with it: export model.float() with an example in single precision; `numbers='half'` stores 16 bits"
        )


def _form_for_int8(
    bundle: Bundle, kind: Target, search: Search, choice: Choice | None
) -> tuple[Choice, nn.Module] | None:
    """The form that is fastest in int8, where that is another one than for float and can be told."""
    if choice is None or len(search.forms(kind)) < 2:
        return None
    try:
        _, found, network = _inference(bundle.model, bundle.example, kind, search, int8=True)
    except (NetslimError, ImportError):  # of the quantiser that it is timed with
        return None
    return (found, network) if found and found.form != choice.form else None


def _quantized(
    bundle: Bundle,
    kind: Target,
    target: str,
    path: Path,
    request: Quantization,
    other: tuple[Choice, nn.Module] | None,
) -> Quantized:
    """int8 in the place of what is in a file, made of the network in another form if there is one."""
    if other is None:
        return kind.quantize(path, request, path)
    with TemporaryDirectory() as folder:
        source = Path(folder, path.name)
        _write(_in_form(replace(bundle, network=other[1]), other[0]), kind, target, source)
        return kind.quantize(path, request, source)


def _in_form(bundle: Bundle, choice: Choice | None) -> Bundle:
    """The same, whose file says of itself which form it has."""
    return replace(bundle, facts={**bundle.facts, "form": choice.form.to_dict() if choice else None})


def _write(bundle: Bundle, kind: Target, target: str, path: Path) -> float:
    """Writes a file and runs it: the largest difference of an output."""
    kind.write(bundle, path)
    return check_parity(bundle.model, kind.open(bundle, path), bundle.example, target)


def _described(model: nn.Module) -> dict[str, Any]:
    arch, plan = getattr(model, "arch", None), plan_of(model)
    known = isinstance(model, PrunableModel) and isinstance(arch, ArchSpec)
    return {
        "arch": arch.to_dict() if known and isinstance(arch, ArchSpec) else None,
        "network": None if known else type(model).__name__,
        "plan": plan.to_dict() if plan else None,
    }


def _cost(model: nn.Module, example: Example) -> dict[str, Any]:
    """Shape, parameters and MACs of one input; of several inputs, parameters alone."""
    if not isinstance(example, Tensor):
        return {"params": count_params(model)}
    cost = measure(model, example[:1].clone())
    return {"input_shape": list(example.shape[1:]), "params": cost.params, "macs": cost.macs}


def _reloaded(model: nn.Module, folder: Path) -> nn.Module:
    again = copied(model)
    again.load_state_dict(read_folder(folder).state_dict)
    return again
