"""Networks in files: `load` needs nothing but the file, `save` nothing but the network."""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from netslim.core.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from netslim.core.errors import CheckpointError, NetslimError, UsageError, first_of, with_article
from netslim.core.hub import address_of, fetch_folder, is_at_hub
from netslim.core.networks.copies import copied
from netslim.core.networks.wrappers import plain, unwrapped
from netslim.core.plugins.references import is_reference
from netslim.core.protocols import ArchSpec, PrunableModel, plan_of
from netslim.core.safetensors_folder import is_folder, read_folder
from netslim.models import build, check_known, recognise
from netslim.models.onnx_import import is_onnx, load_onnx
from netslim.models.own import arch_of
from netslim.models.published import folder_of, is_published
from netslim.pruning import plan_from_dict
from netslim.pruning.apply import rebuild

SHOWN = 10
LARGEST = 8 * 2**30  # bytes of an unpruned network that a file may ask for
PLAIN = 1024  # widths and numbers of classes up to this make no such network
_MISFITS = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError, AssertionError)
M = TypeVar("M", bound=nn.Module)


@overload
def load(path: str | Path, *, input_shape: Sequence[int] | None = None) -> PrunableModel: ...
@overload
def load(path: str | Path, model: M) -> M: ...
def load(path: str | Path, model: nn.Module | None = None, *, input_shape: Sequence[int] | None = None) -> nn.Module:
    """The network in a file, in eval mode on the CPU.

    Reads netslim's files and those of the original network-slimming scripts (also without `cfg`, with `module.`
    prefixes, or from torch 0.3), and folders of the export target safetensors. An ONNX file becomes a
    `torch.fx.GraphModule`, which `plan`, `apply`, `reconstruct_` and `export` take as any network.

    Args:
        path: the file or folder, which is enough for a registered architecture; `published/NAME`, one that
            comes with netslim; `hf://user/name`, a repository at the Hugging Face hub to which `netslim push` sent one
            (`@` and a branch, tag or commit may follow).
        model: the unpruned network that the file is of, for one that netslim can't build; left unchanged.
        input_shape: of an ONNX file's first input, the batch first, where the file leaves sides open; default: what
            fits of some usual sizes.

    Raises:
        CheckpointError: the file is missing, damaged, unsafe, or its weights fit no known architecture or not `model`;
            an ONNX file is quantized, or has operators that are not known.

    >>> import tempfile, torch, netslim
    >>> mine = lambda: torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Conv2d(8, 4, 3))
    >>> model, folder = mine(), tempfile.TemporaryDirectory()
    >>> plan = netslim.plan(model, torch.zeros(2, 3, 8, 8), percent=0.4, criterion="l2_norm")
    >>> netslim.save(f"{folder.name}/small.pth.tar", netslim.apply(model, plan))
    >>> netslim.load(f"{folder.name}/small.pth.tar", model=mine())[0].out_channels
    4
    >>> folder.cleanup()
    """
    if not isinstance(path, str | Path):
        raise UsageError(f"a path of type {type(path).__name__}: give the file, as load('small.pth.tar')")
    if is_onnx(Path(path)):
        return _from_onnx(Path(path), model, input_shape)
    if input_shape is not None:
        raise UsageError(f"`input_shape={[*input_shape]}` is of ONNX files, and {path} is none: leave it out")
    checkpoint = read(Path(path))
    found: nn.Module = restore(checkpoint, Path(path)) if model is None else restore(checkpoint, Path(path), model)
    return found.eval()


def _from_onnx(path: Path, model: nn.Module | None, input_shape: Sequence[int] | None) -> nn.Module:
    if model is not None:
        raise UsageError(f"{path} says what its network computes: leave `model` out")
    return load_onnx(path, input_shape)


def read(path: Path) -> Checkpoint:
    """What a file, a folder of the export target safetensors, or one at the hub holds. Raises CheckpointError."""
    if is_published(path):
        path = folder_of(path)
    if is_at_hub(path):
        path = fetch_folder(address_of(path))
    try:
        folder = is_folder(path)
    except OSError as error:  # a name that no file can have
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    return read_folder(path) if folder else read_checkpoint(path)


def save(
    path: str | Path, model: nn.Module, *, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> None:
    """Writes a network to a file that `load` opens.

    Args:
        path: of the file.
        model: its weights, architecture and plan are written.
        mean, std: how the images are normalised that it learnt from, one number per channel, of pixels scaled to 0..1:
            what goes on from the file, as `netslim evaluate` or `train --resume`, gives it such images.

    Raises:
        UsageError: it is no network, or one of an architecture which is not registered; numbers that normalise nothing.
        NetslimError: the file can't be written.

    >>> import tempfile, torch, netslim
    >>> folder = tempfile.TemporaryDirectory()
    >>> netslim.save(f"{folder.name}/net.pth.tar", netslim.create_model("resnet", depth=11, num_classes=10))
    >>> netslim.load(f"{folder.name}/net.pth.tar").arch.arguments["depth"]
    11
    >>> folder.cleanup()
    """
    if not isinstance(path, str | Path):
        raise UsageError(f"a path of type {type(path).__name__}: the order is save(path, model)")
    described = describe(unwrapped(model))
    if mean is not None or std is not None:
        described.dataset = _normalized(mean, std)
    write_checkpoint(Path(path), described)


def _normalized(mean: Sequence[float] | None, std: Sequence[float] | None) -> dict[str, Any]:
    given = {"mean": [*map(float, mean or ())], "std": [*map(float, std or ())]}
    finite = all(map(math.isfinite, (*given["mean"], *given["std"])))
    if not given["mean"] or len(given["mean"]) != len(given["std"]) or not finite or min(given["std"]) <= 0:
        raise UsageError(f"mean={mean}, std={std}: give both, numbers per channel of pixels from 0 to 1, std above 0")
    return given


def describe(model: nn.Module) -> Checkpoint:
    """A checkpoint with the network's weights, architecture and plan; the rest is the caller's.

    Of a network that netslim can't build the name of its class is kept, for the error that asks for one.

    Raises:
        UsageError: the network says that it is of an architecture which is not registered, or its state is not tensors
            alone.
    """
    plan, arch = plan_of(model), arch_of(model)
    _check_holds_tensors(model)
    described = Checkpoint(state_dict=model.state_dict(), arch=arch, plan=plan.to_dict() if plan else None)
    if arch is None:
        described.extra = {"network": type(model).__name__}
    elif isinstance(model, PrunableModel) and not is_reference(arch.name):
        check_known(arch.name)
        narrow = "cfg" in arch.arguments or (plan is not None and not plan.traced)  # the original has no narrow streams
        described.cfg = [*model.cfg] if narrow else None
    return described


def _check_holds_tensors(model: nn.Module) -> None:
    """Raises UsageError for a network whose state dict has something else, as `get_extra_state` gives."""
    for key, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            raise UsageError(
                f"{key} of {type(model).__name__} is a {type(value).__name__}, and files hold tensors alone: keep "
                f"numbers in a buffer, or let the module have no get_extra_state"
            )


@overload
def restore(checkpoint: Checkpoint, path: Path) -> PrunableModel: ...
@overload
def restore(checkpoint: Checkpoint, path: Path, model: M) -> M: ...
def restore(checkpoint: Checkpoint, path: Path, model: nn.Module | None = None) -> nn.Module:
    """The network of a checkpoint that was read from `path` (named in errors). Raises CheckpointError."""
    try:
        network = (
            _unpruned(checkpoint, path) if model is None else copied(model if checkpoint.plan is None else plain(model))
        )
        if checkpoint.plan is not None:
            network = rebuild(plain(network), plan_from_dict(checkpoint.plan))
    except CheckpointError:
        raise
    except NetslimError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except _MISFITS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{path} says of its network what can't be built: {reason}") from error
    load_weights(network, checkpoint.state_dict, str(path))
    return network


def _unpruned(checkpoint: Checkpoint, path: Path) -> nn.Module:
    state = checkpoint.state_dict
    arch = checkpoint.arch or recognise(state)
    if arch is not None and is_reference(arch.name):
        raise CheckpointError(
            f"{path} holds a network of {arch.name}, which no file can make run: pass one with "
            f"netslim.load(path, model={arch.name.rpartition(':')[2]}({_written(arch.arguments)}))"
        )
    if arch is not None:
        _check_size(arch)
        return build(arch)
    name = checkpoint.extra.get("network")
    if name is not None:
        raise CheckpointError(
            f"{path} holds {with_article(name)}, which netslim can't build by itself: name its code by "
            f"`arch='FILE.py:NAME'`, or pass one with netslim.load(path, model={name}(...))"
        )
    raise CheckpointError(
        f"{path}: these weights fit no architecture that netslim knows (first keys: {', '.join(list(state)[:4])}): "
        f"those of torchvision and timm come in by netslim transfer, your own network by `arch='FILE.py:NAME'` or "
        f"netslim.load(path, model=...)"
    )


def _written(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def _check_size(arch: ArchSpec) -> None:
    """Raises CheckpointError for a network of more than `LARGEST` bytes, before any of them is asked of the memory."""
    values = [value if isinstance(value, list) else [value] for value in arch.arguments.values()]
    numbers = [number for value in values for number in value if isinstance(number, int)]
    if max(numbers, default=0) <= PLAIN and sum(numbers) <= 50 * PLAIN:
        return
    with torch.device("meta"):
        network = build(arch)
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    if size > LARGEST:
        raise CheckpointError(
            f"{arch.name} {dict(arch.arguments)} would take {size / 2**30:,.0f} GiB; netslim.load builds up to "
            f"{LARGEST // 2**30} GiB"
        )


def load_weights(model: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Copies `state` into `model`, all of it or nothing.

    Files from torch 0.3 lack `num_batches_tracked`, which then starts at zero.

    Raises:
        CheckpointError: keys, shapes, kinds of numbers or numbers of chosen channels differ; the first ten differences
            are listed.
    """
    own = model.state_dict()
    state = {k: v for k, v in own.items() if k.endswith("num_batches_tracked")} | dict(state)
    compared = [_difference(key, own.get(key), state.get(key)) for key in {**own, **state}]
    wrong = [difference for difference in compared if difference]
    if wrong:
        arch = arch_of(model)
        name = f"{arch.name} {dict(arch.arguments)}" if arch else type(model).__name__
        raise CheckpointError(f"{origin} does not fit {name}: {first_of(wrong, SHOWN, '; ')}")
    fitting = OrderedDict(state)
    fitting._metadata = getattr(own, "_metadata", {})  # type: ignore[attr-defined]  # versions: some classes insist
    try:
        model.load_state_dict(fitting)
    except RuntimeError as error:  # a module may ask more of a file than names and shapes
        said = " ".join(str(error).split())
        raise CheckpointError(f"{origin} does not fit {type(model).__name__}: {said}") from error


def _difference(key: str, own: Tensor | None, given: Tensor | None) -> str | None:
    if given is None:
        return f"{key} is missing"
    if own is None:
        return f"{key} is not in the network"
    if given.shape != own.shape:
        return f"{key} is {tuple(given.shape)}, not {tuple(own.shape)}"
    if given.is_complex() > own.is_complex() or given.is_floating_point() < own.is_floating_point():
        return f"{key} is of {_short(given.dtype)}, not {_short(own.dtype)}"  # which would be cast without a word
    if key.endswith(".indexes") and given.count_nonzero() != own.count_nonzero():  # what follows has as many inputs
        return f"{key} chooses {int(given.count_nonzero())} channels, not {int(own.count_nonzero())}"
    return None


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
