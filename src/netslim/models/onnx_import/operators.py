"""The operators that are understood: one function each, filed under its name in ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor

from netslim.core.errors import CheckpointError
from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.values import Activation, Constant, Numbers, Value


@dataclass(frozen=True, kw_only=True, eq=False)
class Operator:
    """One node of an ONNX graph.

    Attributes:
        kind: its operator.
        index: its place in the file's graph.
        name: for messages and names of layers.
        opset: version of the operator set that it is of.
        inputs: what it takes; None for an optional input that is left out.
        attributes: by name, as Python values.
        outputs: the names of what it gives, "" for what nobody takes.
        takers: the operators of the nodes that take it.
    """

    kind: str
    index: int
    name: str
    opset: int
    inputs: Sequence[Value | None]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[str] = ("",)
    takers: Sequence[str] = ()

    def input(self, place: int) -> Value | None:
        """An input that may be left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def value(self, place: int = 0) -> Value:
        """An input that must be there."""
        found = self.input(place)
        if found is None:
            raise self.refusal(f"has no input {place}")
        return found

    def constant(self, place: int) -> Tensor | None:
        """An input that must be known, if it is there."""
        found = self.input(place)
        if found is None or isinstance(found, Constant):
            return None if found is None else found.tensor
        if isinstance(found, Numbers):
            raise self.refusal(f"has an input {place} that follows the sizes of the images")
        raise self.refusal(f"has an input {place} that the network computes")

    def integers(self, name: str, place: int) -> list[int] | None:
        """Whole numbers that are an attribute in older operator sets and an input in newer ones."""
        if name in self.attributes:
            found = self.attributes[name]
            return [int(number) for number in found] if isinstance(found, list | tuple) else [int(found)]
        tensor = self.constant(place)
        return None if tensor is None else [int(number) for number in tensor.flatten().tolist()]

    def refusal(self, why: str) -> CheckpointError:
        """The error for what can't be followed."""
        return CheckpointError(f"node '{self.name}' ({self.kind}) {why}")


Rule: TypeAlias = Callable[[Builder, Operator], Value | Sequence[Value]]
OPERATORS: dict[str, Rule] = {}


def operator(*kinds: str) -> Callable[[Rule], Rule]:
    """Decorator: files a function for these operators; those of other domains as `domain:Name`."""

    def file(rule: Rule) -> Rule:
        for kind in kinds:
            OPERATORS[kind] = rule
        return rule

    return file


def activation(node: Operator) -> Activation:
    """The first input, which the network computes. Raises CheckpointError for another."""
    found = node.value(0)
    if not isinstance(found, Activation):
        raise node.refusal("has an input 0 that the network does not compute")
    return found
