"""From an ONNX graph to a torch graph."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from netslim.core.errors import CheckpointError, first_line, one_of
from netslim.models.onnx_import import branches
from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.dependence import Side
from netslim.models.onnx_import.operators import OPERATORS, Operator
from netslim.models.onnx_import.postprocessing import Rest
from netslim.models.onnx_import.rules import (
    activations,
    arithmetic,
    fused,
    layers,
    movement,
    normalization,
    padding,
    picking,
    pooling,
    recurrent,
    reductions,
    resizing,
    sampling,
    sequences,
)
from netslim.models.onnx_import.rules import shapes as shape_rules
from netslim.models.onnx_import.source import Placed, Port
from netslim.models.onnx_import.tensors import as_tensor
from netslim.models.onnx_import.values import Activation, Constant, Value

FAMILIES = (
    activations,
    arithmetic,
    fused,
    layers,
    movement,
    normalization,
    padding,
    picking,
    pooling,
    recurrent,
    reductions,
    resizing,
    sampling,
    sequences,
    shape_rules,
)  # each files its own
FEW = 16  # numbers of a tensor that may be a shape
_QUANTIZED = ("QuantizeLinear", "QLinear", "ConvInteger", "MatMulInteger", "DynamicQuantize", "QGemm", "QAttention")


class NothingToFollowError(CheckpointError):
    """The file has no network before what depends on the data, whatever the sizes of its inputs."""


@dataclass(frozen=True, eq=False)
class Converted:
    """A torch graph that was made of an ONNX graph.

    Attributes:
        network: the torch graph; outputs as the file has them, a tuple where there are several.
        placed: where the file's tensors went.
        computed: by name of a value in the file, the node that computes it, and its shape.
        sizes: by name, whole numbers of the file that are few.
        nodes: the file's, with branches that are taken in the place of their `If`.
        fixed: open sides of inputs at which a branch is taken, each with the name of the `If`.
        outputs: names of what the network gives.
        rest: what comes after the network.
    """

    network: fx.GraphModule
    placed: tuple[Placed, ...]
    computed: dict[str, tuple[str, tuple[int, ...]]]
    sizes: dict[str, Tensor]
    nodes: Sequence[Any] = ()
    fixed: Mapping[Side, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    rest: Rest = field(default_factory=Rest)


def converted(graph: Any, tensors: Mapping[str, Tensor], ports: Sequence[Port], opsets: Mapping[str, int]) -> Converted:
    """Follows every node once, at the shapes of `ports`.

    Args:
        graph: an `onnx.GraphProto` of operators that are all known.
        tensors: its initializers.
        ports: its inputs.
        opsets: versions by domain.

    Raises:
        CheckpointError: a node that can't be followed.
    """
    build = Builder()
    known: dict[str, Value] = {name: Constant(tensor, name) for name, tensor in tensors.items()}
    for port in ports:
        kind = torch.float32 if port.dtype.is_floating_point else port.dtype
        known[port.name] = build.input(port.name, torch.empty(port.shape, dtype=kind, device="meta"))
    rest = Rest()
    nodes, fixed = _follow_all(build, graph, known, rest, ports, opsets)
    given = dict.fromkeys(output.name for output in graph.output if output.name not in rest.names)
    names = (*given, *(name for name in rest.taken if name not in given))
    outputs = [_output(build, known, name) for name in names]
    if rest.first and not any(True for _ in build.root.parameters()):
        raise NothingToFollowError(f"there is no layer before node {rest.first}, from which on nothing can be followed")
    build.graph.output(outputs[0].node if len(outputs) == 1 else tuple(output.node for output in outputs))
    whole = fx.GraphModule(build.root, build.graph)
    whole.graph.eliminate_dead_code()
    network = fx.GraphModule(whole, whole.graph, "OnnxNetwork")  # with what is left alone
    left = {node.name for node in network.graph.nodes}
    made = {name: value for name, value in known.items() if isinstance(value, Activation)}
    held = {name for name, _ in [*network.named_parameters(), *network.named_buffers()]}
    placed = tuple(each for each in build.placed if held.issuperset(each.paths))
    shapes = {name: (value.node.name, tuple(value.like.shape)) for name, value in made.items()}
    computed = {name: said for name, said in shapes.items() if said[0] in left}
    return Converted(network, placed, computed, _sizes(known), nodes, fixed, names, rest)


def check_known(nodes: Sequence[Any]) -> None:
    """Raises CheckpointError for quantized operators and for such that are not known; all are listed."""
    kinds = Counter(kind_of(node) for node in nodes)
    rest = Rest()
    for node in nodes:
        if rest.has(node):
            rest.add_(node, {})
    known = {*OPERATORS, branches.KIND}
    unknown = Counter(kind_of(node) for node in nodes if not rest.has(node) and kind_of(node) not in known)
    quantized = [kind for kind in kinds if kind.rpartition(":")[2].startswith(_QUANTIZED) or "Dequantize" in kind]
    if quantized:
        raise CheckpointError(
            f"is quantized ({one_of(sorted(quantized))}): prune the float network that it was made of, and quantize "
            f"the result"
        )
    if unknown:
        counted = one_of(f"{kind} ({unknown[kind]})" for kind in sorted(unknown))
        raise CheckpointError(f"has operators that are not known: {counted}")


def _follow_all(
    build: Builder,
    graph: Any,
    known: dict[str, Value],
    rest: Rest,
    ports: Sequence[Port],
    opsets: Mapping[str, int],
) -> tuple[list[Any], dict[Side, str]]:
    """Fills `known` and `rest`. Returns the nodes that were followed, and the sides that are fixed."""
    takers: dict[str, list[str]] = defaultdict(list)
    for name, taker in (pair for node in graph.node for pair in branches.names_taken(node)):
        takers[name].append(taker)
    nodes, fixed, index = [*graph.node], dict[Side, str](), 0
    while index < len(nodes):
        node, build.at = nodes[index], index
        branch = None
        if kind_of(node) == branches.KIND and not rest.has(node):
            branch = branches.taken(build, node, known, ports)
        if branch is not None:
            check_known(branch.nodes)
            fixed |= dict.fromkeys(branch.fixed, node.name)
            nodes[index : index + 1] = branch.nodes
            continue
        index += 1
        if rest.has(node) or kind_of(node) == branches.KIND:
            rest.add_(node, known)
        else:
            _follow(build, node, index - 1, known, opsets, takers)
    return nodes, fixed


def _sizes(known: Mapping[str, Value]) -> dict[str, Tensor]:
    found = {name: value.tensor for name, value in known.items() if isinstance(value, Constant)}
    return {name: tensor for name, tensor in found.items() if tensor.dtype == torch.int64 and tensor.numel() <= FEW}


def _follow(
    build: Builder,
    node: Any,
    index: int,
    known: dict[str, Value],
    opsets: Mapping[str, int],
    takers: Mapping[str, Sequence[str]],
) -> None:
    from onnx import TensorProto, helper

    kind = kind_of(node)
    attributes = {each.name: _attribute(helper.get_attribute_value(each), TensorProto) for each in node.attribute}
    absent = [name for name in node.input if name and name not in known]
    name = node.name or f"{node.op_type}_{index}"
    if absent:
        raise CheckpointError(f"node '{name}' ({node.op_type}) takes '{absent[0]}', which nothing before it gives")
    given = Operator(
        kind=kind,
        index=index,
        name=name,
        opset=opsets.get(node.domain if node.domain != "ai.onnx" else "", 1),
        inputs=[known[each] if each else None for each in node.input],
        attributes=attributes,
        outputs=list(node.output),
        takers=[each for name in node.output for each in takers.get(name, ())],
    )
    try:
        made = OPERATORS[kind](build, given)
    except CheckpointError as error:
        if given.name in str(error):
            raise
        raise given.refusal(f"can't be followed: {error}") from error
    except Exception as error:  # torch may raise anything of sizes that a file claims
        raise given.refusal(f"can't be followed: {first_line(error)}") from error
    for name, value in zip(node.output, [made] if isinstance(made, Value) else made, strict=False):
        known[name] = _named(value, name, is_computed=kind != "Constant")


def _named(value: Value, name: str, *, is_computed: bool) -> Value:
    """A constant that was computed has its own name, by which a later node takes it."""
    return Constant(value.tensor, name, is_computed) if isinstance(value, Constant) else value


def _output(build: Builder, known: Mapping[str, Value], name: str) -> Activation:
    value = known.get(name)
    if value is None:
        raise CheckpointError(f"output '{name}' is computed by no node")
    made = build.tensor(value)
    if isinstance(made, Activation):
        return made
    return Activation(build.holder(made), made.tensor.to("meta"))


def kind_of(node: Any) -> str:
    """The operator of a node; of another domain than ONNX's with it in front."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}:{node.op_type}"


def _attribute(value: Any, tensor_type: Any) -> Any:
    """A Python value, or a tensor."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list | tuple):
        return [_attribute(each, tensor_type) for each in value]
    return as_tensor(value) if isinstance(value, tensor_type) else value
