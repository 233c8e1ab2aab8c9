"""ONNX files: read without trust, and what can't be followed is said at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, fx

from netslim.core.errors import CheckpointError, UsageError, first_line
from netslim.core.files import check_readable
from netslim.models.onnx_import.branches import KIND, lift_
from netslim.models.onnx_import.convert import Converted, NothingToFollowError, check_known, converted, kind_of
from netslim.models.onnx_import.ports import BATCH, SIDES, closed, ports_of, write_fixed_
from netslim.models.onnx_import.source import OnnxSource, Port, keep_source_
from netslim.models.onnx_import.tensors import as_tensor

SUFFIX = ".onnx"
FILE_LIMIT = 2**31 - 1  # bytes: protobuf's own
OLDEST = 7  # operator set: before it, tensors were broadcast in another way


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
    if any(kind_of(node) == KIND for node in proto.graph.node):
        del proto.graph.node[:]
        proto.graph.node.extend(found.nodes)
    source = OnnxSource(
        path=path,
        proto=proto,
        inputs=tuple(closed(ports, found.fixed)),
        outputs=found.outputs,
        placed=found.placed,
        computed=found.computed,
        sizes=found.sizes,
        fixed=write_fixed_(proto.graph, ports, found.fixed),
        rest=found.rest.line() if found.rest.first else "",
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
    lift_(proto.graph)
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
    try:
        check_known(proto.graph.node)
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from None
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
        ports = ports_of(path, given, sides, input_shape, BATCH)
        try:
            found = converted(proto.graph, tensors, ports, opsets)
            if (ports[0].name, 0) not in found.fixed or ports[0].shape[0] != BATCH:
                return found, ports
            alone = None if input_shape is None else (1, *input_shape[1:])  # a file of one batch size is one of 1
            ports = ports_of(path, given, sides, alone, 1)
            return converted(proto.graph, tensors, ports, opsets), ports
        except NothingToFollowError as error:
            raise CheckpointError(f"{path}: {error}") from None
        except CheckpointError as error:
            failed = failed or error
        if input_shape is not None or not any(any(port.free[min(2, len(port.free) - 1) :]) for port in ports):
            break
    shape = "x".join(map(str, ports[0].shape))
    hint = "; if it is of another size, give `input_shape`" if any(ports[0].free[1:]) else ""
    raise CheckpointError(f"{path}, at an input of {shape if input_shape else _tried(given[0])}: {failed}{hint}")


def _tried(given: Any) -> str:
    sides = [side.dim_value if side.dim_value > 0 else "?" for side in given.type.tensor_type.shape.dim]
    return "x".join(map(str, sides))
