"""Numbers that a network reads of its tensors' sizes: parts of it that are timed alone have no tensor to ask."""

from typing import Any

import torch
from torch import Tensor, fx


def fix_numbers_(network: fx.GraphModule, example: Tensor) -> None:
    """Writes the sizes that the network reads of its tensors as the numbers that they are for such an example."""
    numbers = _Numbers(network)
    with torch.no_grad():
        numbers.run(example)
    for node in network.graph.nodes:
        node.args = fx.node.map_arg(node.args, lambda own: numbers.found.get(own, own))
        node.kwargs = fx.node.map_arg(node.kwargs, lambda own: numbers.found.get(own, own))
    network.graph.eliminate_dead_code()
    network.recompile()


class _Numbers(fx.Interpreter):
    """Runs a network and keeps what its nodes give that is a number, or several."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network)
        self.found: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Runs one node."""
        result = super().run_node(n)
        if isinstance(result, int | float):
            self.found[n] = result
        elif isinstance(result, tuple) and all(isinstance(part, int | float) for part in result):
            self.found[n] = (*result,)
        return result
