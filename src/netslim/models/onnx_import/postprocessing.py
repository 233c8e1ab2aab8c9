"""What follows a network in its file and stays as it is: boxes that are chosen, loops, and all that takes of them.

Where a size depends on the data, as after `NonMaxSuppression`, no graph of torch's can be followed. The network then
ends before: it gives what the rest of the file takes of it, and no channel of that can go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import fx

from netslim.core.errors import CheckpointError
from netslim.models.onnx_import.branches import names_taken
from netslim.models.onnx_import.dependence import sizes_behind
from netslim.models.onnx_import.values import Activation, Numbers, Sequence, Value

STARTS = ("NonMaxSuppression", "NonZero", "Unique", "RoiAlign", "MaxRoiPool", "Loop", "Scan")


@dataclass(eq=False)
class Rest:
    """The nodes that are left as they are.

    Attributes:
        names: of the values that they give.
        taken: of the values that the network gives them.
        first: the node with which they begin, and why, or "".
    """

    names: set[str] = field(default_factory=set)
    taken: dict[str, None] = field(default_factory=dict)
    first: str = ""

    def has(self, node: Any) -> bool:
        """Whether a node is of it, by its operator or by what it takes."""
        named = any(name in self.names for name, _ in names_taken(node))
        return named or (node.op_type in STARTS and node.domain in ("", "ai.onnx"))

    def add_(self, node: Any, known: Mapping[str, Value]) -> None:
        """Leaves a node as it is. Raises CheckpointError where it takes what no value of the file is."""
        self.first = self.first or f"'{node.name or node.output[0]}' ({node.op_type})"
        self.names.update(filter(None, node.output))
        for name, _ in names_taken(node):
            if name in known:
                self.taken |= dict.fromkeys(_named(name, known))

    def line(self) -> str:
        """What is said of it."""
        return f"from node {self.first} on the file stays as it is, with the channels that it takes"


def _named(name: str, known: Mapping[str, Value]) -> Iterator[str]:
    """The values of the network that a value is, or whose sizes it is computed of; not the network's inputs."""
    value = known[name]
    if isinstance(value, Activation) and value.node.op != "placeholder":
        yield name
    if isinstance(value, Sequence):
        raise CheckpointError(f"the sequence '{name}' is taken by what comes after the network")
    if isinstance(value, Numbers):
        asked = [item.node for item in value.items if item.node is not None]
        sources = {leaf.args[0] for node in asked for leaf in sizes_behind(node)}
        yield from (_name_of(node, known) for node in sources if isinstance(node, fx.Node) and node.op != "placeholder")


def _name_of(node: fx.Node, known: Mapping[str, Value]) -> str:
    for name, value in known.items():
        if isinstance(value, Activation) and value.node is node:
            return name
    raise CheckpointError(f"what comes after the network takes a size of {node}, which is no value of the file")
