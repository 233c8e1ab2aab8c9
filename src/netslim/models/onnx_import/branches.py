"""`If` in an ONNX graph: the branch that is taken, without the other one.

A condition is known where it is a constant or follows from sizes, as in what exporters write for `x.squeeze(1)`. One
that follows from a side that the file leaves open holds at that size only, so that side is then fixed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netslim.core.errors import CheckpointError
from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.dependence import Side, sides_behind
from netslim.models.onnx_import.source import Port
from netslim.models.onnx_import.values import Constant, Numbers, Value

KIND = "If"


@dataclass(frozen=True)
class Taken:
    """A branch in the place of its `If`.

    Attributes:
        nodes: of the branch, and what gives its results the names of the `If`'s.
        fixed: open sides of inputs that the condition follows from.
    """

    nodes: Sequence[Any]
    fixed: frozenset[Side] = frozenset()


def taken(build: Builder, node: Any, known: Mapping[str, Value], ports: Sequence[Port]) -> Taken | None:
    """What stands in the place of an `If`; None where the condition depends on the data.

    Raises CheckpointError where it does not have the branch.
    """
    from onnx import helper

    found = _condition(build, known.get(node.input[0]), ports)
    if found is None:
        return None
    condition, fixed = found
    wanted = "then_branch" if condition else "else_branch"
    branch = next((each.g for each in node.attribute if each.name == wanted), None)
    if branch is None or len(branch.output) != len(node.output):
        raise CheckpointError(f"node '{node.name}' ({KIND}) has no {wanted} with {len(node.output)} outputs")
    pairs = zip(branch.output, node.output, strict=True)
    named = [helper.make_node("Identity", [inner.name], [outer]) for inner, outer in pairs if outer]
    return Taken([*branch.node, *named], fixed)


def _condition(build: Builder, value: Value | None, ports: Sequence[Port]) -> tuple[bool, frozenset[Side]] | None:
    if isinstance(value, Constant) and value.tensor.numel() == 1:
        return bool(value.tensor.item()), frozenset()
    if isinstance(value, Numbers) and len(value.items) == 1:
        asked = value.items[0].node
        return bool(value.items[0].value), sides_behind(build, asked, ports) if asked is not None else frozenset()
    return None


def lift_(graph: Any) -> None:
    """Gives the values within branches names that the graph has nowhere else, and their tensors to the graph."""
    used = {name for node in graph.node for name in node.output}
    used.update(each.name for each in (*graph.initializer, *graph.input))
    for node in graph.node:
        _lift_inner(node, graph, used, {})


def _lift_inner(node: Any, whole: Any, used: set[str], outer: Mapping[str, str]) -> None:
    for inner in inner_graphs(node):
        names = {**outer, **{each.name: each.name for each in inner.input}}
        for tensor in inner.initializer:
            names[tensor.name] = tensor.name = _fresh(tensor.name, used)
            whole.initializer.append(tensor)
        del inner.initializer[:]
        for own in inner.node:
            own.input[:] = [names.get(name, name) for name in own.input]
            _lift_inner(own, whole, used, names)
            names |= {name: _fresh(name, used) for name in own.output if name}
            own.output[:] = [names.get(name, name) for name in own.output]
        for output in inner.output:
            output.name = names.get(output.name, output.name)


def _fresh(name: str, used: set[str]) -> str:
    number, found = 1, name
    while found in used:
        found, number = f"{name}_{number}", number + 1
    used.add(found)
    return found


def inner_graphs(node: Any) -> Iterator[Any]:
    """The graphs that a node has: branches, or the body of a loop."""
    return (each.g for each in node.attribute if each.HasField("g"))


def names_taken(node: Any) -> Iterator[tuple[str, str]]:
    """What a node takes, and the operators that take it: its own, and those within its branches."""
    yield from ((name, node.op_type) for name in node.input)
    for inner in inner_graphs(node):
        for each in inner.node:
            yield from names_taken(each)
