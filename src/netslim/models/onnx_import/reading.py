"""ONNX files: read without trust, and what can't be followed is said at once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

from netslim.core.errors import CheckpointError, UsageError, first_line, one_of
from netslim.core.files import check_readable
from netslim.models.onnx_import.convert import Converted, converted, kind_of
from netslim.models.onnx_import.operators import OPERATORS
from netslim.models.onnx_import.rules.shapes import DTYPES
from netslim.models.onnx_import.source import OnnxSource, Port, keep_source_
from netslim.models.onnx_import.tensors import as_tensor

SUFFIX = ".onnx"
FILE_LIMIT = 2**31 - 1  # bytes: protobuf's own
BATCH = 2  # where the file leaves it open: one image could hide a reshape that mixes images and channels
OLDEST = 7  # operator set: before it, tensors were broadcast in another way
SIDES = (
    (224, 224),
    (64, 64),
    (32, 32),
    (48, 320),
    (32, 320),
    (640, 640),
)  # that are tried where the file leaves them open
_QUANTIZED = ("QuantizeLinear", "QLinear", "ConvInteger", "MatMulInteger", "DynamicQuantize", "QGemm", "QAttention")


def is_onnx(path: Path) -> bool:
    """Whether a file is an ONNX model by its name."""
    return path.suffix.lower() == SUFFIX


def load_onnx(path: Path, input_shape: Sequence[int] | None = None) -> fx.GraphModule:
    """The network in an ONNX file as a torch graph, in eval mode on the CPU.

    Convolutions, linear layers and BatchNorm are torch's modules, named by their weights; the rest are its functions.
    Shapes that the file writes as numbers follow channels and batch where other shapes can say them.

    Args:
        path: of the file.
        input_shape: of its first input, the batch first, where the file leaves sides open; default: what fits of some
            usual sizes.

    Raises:
        UsageError: onnx is not installed, or sides are open and none of the usual sizes fits.
        CheckpointError: the file is missing or damaged, is quantized, or has operators that are not known.
    """
    proto = read_model(path)
    opsets = {entry.domain if entry.domain != "ai.onnx" else "": int(entry.version) for entry in proto.opset_import}
    tensors = _tensors(proto, path)
    given = [port for port in proto.graph.input if port.name not in tensors]
    if not given:
        raise CheckpointError(f"{path} has no input")
    found, ports = _at_some_size(path, proto, tensors, given, opsets, input_shape)
    source = OnnxSource(
        path=path,
        proto=proto,
        inputs=tuple(ports),
        outputs=tuple(output.name for output in proto.graph.output),
        placed=found.placed,
        computed=found.computed,
        sizes=found.sizes,
    )
    keep_source_(found.network, source)
    return found.network.eval()


def read_model(path: Path) -> Any:
    """An `onnx.ModelProto` of operators that are all known, functions inlined. Raises as `load_onnx` does."""
    onnx = _onnx()
    check_readable(path)
    if path.stat().st_size > FILE_LIMIT:
        raise CheckpointError(f"{path} has {path.stat().st_size:,} bytes; ONNX files have up to {FILE_LIMIT:,}")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's error has no name that all its versions share
        raise CheckpointError(f"{path} is damaged or no ONNX file ({first_line(error)})") from error
    if not proto.graph.node or not proto.graph.output:
        raise CheckpointError(f"{path} is no ONNX file: it has no graph")
    if proto.functions:
        proto = _inlined(proto, path)
    _check_known(proto, path)
    return proto


def _onnx() -> Any:
    try:
        import onnx
        import onnx.inliner
    except ImportError as error:
        raise UsageError(f"ONNX files are read with onnx ({error}); type pip install 'netslim[export]'") from error
    return onnx


def _inlined(proto: Any, path: Path) -> Any:
    try:
        return _onnx().inliner.inline_local_functions(proto)
    except Exception as error:  # whatever onnx's own code met
        raise CheckpointError(f"{path}: its functions can't be inlined ({first_line(error)})") from error


def _check_known(proto: Any, path: Path) -> None:
    kinds = Counter(kind_of(node) for node in proto.graph.node)
    quantized = [kind for kind in kinds if kind.rpartition(":")[2].startswith(_QUANTIZED) or "Dequantize" in kind]
    if quantized:
        raise CheckpointError(
            f"{path} is quantized ({one_of(sorted(quantized))}): prune the float network that it was made of, and "
            f"quantize the result"
        )
    unknown = sorted(kind for kind in kinds if kind not in OPERATORS)
    if unknown:
        counted = one_of(f"{kind} ({kinds[kind]})" for kind in unknown)
        raise CheckpointError(f"{path} has operators that are not known: {counted}")
    version = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), 1)
    if version < OLDEST:
        raise CheckpointError(f"{path} is of operator set {version}; {OLDEST} and later are read")
    made = [each.name for each in proto.graph.input] + [
        name for node in proto.graph.node for name in node.output if name
    ]
    if len(made) != len({*made}):
        twice = next(name for name, count in Counter(made).items() if count > 1)
        raise CheckpointError(f"{path} is damaged: two of its values are called '{twice}'")
    if proto.graph.sparse_initializer:
        raise CheckpointError(f"{path} has sparse tensors, which are not read")


def _tensors(proto: Any, path: Path) -> dict[str, Tensor]:
    try:
        return {tensor.name: as_tensor(tensor, path.parent) for tensor in proto.graph.initializer}
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _at_some_size(
    path: Path,
    proto: Any,
    tensors: dict[str, Tensor],
    given: Sequence[Any],
    opsets: dict[str, int],
    input_shape: Sequence[int] | None,
) -> tuple[Converted, list[Port]]:
    """The network at the first of some sizes at which every node can be followed."""
    failed: CheckpointError | None = None
    for sides in SIDES:
        ports = [_port(path, each, sides, input_shape if each is given[0] else None) for each in given]
        try:
            return converted(proto.graph, tensors, ports, opsets), ports
        except CheckpointError as error:
            failed = failed or error
        if input_shape is not None or not any(any(port.free[2:]) for port in ports):
            break
    shape = "x".join(map(str, ports[0].shape))
    hint = (
        "" if len(ports[0].free) < 3 or not any(ports[0].free[2:]) else "; if it is of another size, give `input_shape`"
    )
    raise CheckpointError(f"{path}, at an input of {shape if input_shape else _tried(given[0])}: {failed}{hint}")


def _tried(given: Any) -> str:
    sides = [side.dim_value if side.dim_value > 0 else "?" for side in given.type.tensor_type.shape.dim]
    return "x".join(map(str, sides))


def _port(path: Path, given: Any, sides: Sequence[int], wanted: Sequence[int] | None) -> Port:
    """An input at these sides, where the file leaves them open."""
    tensor = given.type.tensor_type
    kind = torch.float16 if tensor.elem_type == 10 else DTYPES.get(tensor.elem_type)
    if kind is None or not tensor.HasField("shape"):
        raise CheckpointError(f"{path}: input '{given.name}' is no tensor of known type and dimensions")
    free = tuple(side.dim_value <= 0 for side in tensor.shape.dim)
    usual = itertools.chain(_usual(len(free), sides, last=free[-1:] == (False,)), itertools.repeat(16))
    shape = [
        side.dim_value if side.dim_value > 0 else size for side, size in zip(tensor.shape.dim, usual, strict=False)
    ]
    if wanted is not None:
        _check_shape(given.name, shape, free, wanted)
        shape = [*wanted]
    return Port(name=given.name, shape=tuple(shape), dtype=kind, free=free)


def _usual(dims: int, sides: Sequence[int], *, last: bool) -> list[int]:
    """Batch, channels and sides of images; the channels last where the file says the last dimension alone."""
    if dims < 3:
        return [BATCH]
    inner = [*sides[-(dims - 2) :]]
    return [BATCH, *inner, 3] if last else [BATCH, 3, *inner]


def _check_shape(name: str, shape: Sequence[int], free: Sequence[bool], wanted: Sequence[int]) -> None:
    fits = len(wanted) == len(shape) and all(
        mine == asked or is_open for mine, asked, is_open in zip(shape, wanted, free, strict=True)
    )
    if not fits or min(wanted) < 1:
        said = "x".join("?" if is_open else str(side) for side, is_open in zip(shape, free, strict=True))
        raise UsageError(f"`input_shape={[*wanted]}`: input '{name}' is {said} (? is free)")
