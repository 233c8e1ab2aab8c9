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
    """Lets a graph raise AssertionError for inputs of other sizes than were noted, if any were. Returns it.

    Not for run times whose files have fixed sizes themselves.
    """
    graph = network.graph
    starts = [node for node in graph.nodes if node.op == "placeholder"]
    first = next(node for node in graph.nodes if node.op != "placeholder")
    with graph.inserting_before(first):
        for start, sizes in zip(starts, network.meta.get(_SIZES, ()), strict=False):
            made_for = f"(N, {', '.join(map(str, sizes))})"
            shape = graph.call_function(getattr, (start, "shape"))
            inner = graph.call_function(operator.getitem, (shape, slice(1, None)))
            same = graph.call_function(operator.eq, (inner, sizes))
            said = f"'{start.target}' has other sizes than {made_for}, which this graph is made for"
            graph.call_function(torch._assert, (same, said))
    network.recompile()
    return network
