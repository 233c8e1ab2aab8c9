"""Graphs into which the sizes of their inputs are written refuse others: they would compute something else."""

from __future__ import annotations

import operator

import torch
from torch import fx

from netslim.core.networks.example import Inputs

_SIZES = "netslim_sizes"  # in a graph module's `meta`: per input all sizes but the batch's


def note_sizes(network: fx.GraphModule, inputs: Inputs) -> None:
    """Notes that a graph is for these sizes alone; `checking_sizes` puts that into its code."""
    network.meta[_SIZES] = [tuple(tensor.shape[1:]) for tensor in inputs.tensors]


def checking_sizes(network: fx.GraphModule) -> fx.GraphModule:
    """The graph, which raises AssertionError for inputs of other sizes than were noted; as it is, where none were.

    Not for run times whose files have fixed sizes themselves.
    """
    starts = [node for node in network.graph.nodes if node.op == "placeholder"]
    for start, sizes in zip(starts, network.meta.get(_SIZES, ()), strict=False):
        made_for = (
            f"'{start.target}' has other sizes than (N, {', '.join(map(str, sizes))}), which this graph is made for"
        )
        with network.graph.inserting_after(starts[-1]):
            shape = network.graph.call_function(getattr, (start, "shape"))
        with network.graph.inserting_after(shape):
            inner = network.graph.call_function(operator.getitem, (shape, slice(1, None)))
        with network.graph.inserting_after(inner):
            same = network.graph.call_function(operator.eq, (inner, sizes))
        with network.graph.inserting_after(same):
            network.graph.call_function(torch._assert, (same, made_for))
    network.recompile()
    return network
