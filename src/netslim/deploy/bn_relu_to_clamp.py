"""BatchNorm and ReLU in front of convolutions (pre-activation) as one bound per channel.

With a BatchNorm in evaluation mode as y = a x + b, and a > 0:  relu(y) = a max(x, -b / a) + b;  for a < 0 it is the
minimum instead. A convolution without padding takes the factor a into its weights and the b into its bias, and what is
left is one pass over the activations where BatchNorm and ReLU are two. The stream of a pre-activation network, which no
selection makes narrower, spends most of its time in these passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, fx, nn

from netslim.deploy.fx_graph import is_norm, layer_of, name_of, replace, sources

_DEAD = 1e-20  # a factor that is not above this is none: the channel is relu(b)


@dataclass(frozen=True)
class _Bounds:
    """Per channel, in double precision: what a value is held between, and what its reader makes of it."""

    low: Tensor
    high: Tensor
    factor: Tensor
    shift: Tensor


def bound(network: fx.GraphModule) -> int:
    """Replaces every BatchNorm whose ReLU only convolutions without padding read. Returns how many."""
    replaced = 0
    for node in list(network.graph.nodes):
        if node.op != "call_module" or not is_norm(layer_of(node)) or len(node.users) != 1 or not sources(node):
            continue
        (relu,) = node.users
        if name_of(relu) not in ("ReLU", "relu") or not all(_takes_in(reader) for reader in relu.users):
            continue
        readers = [cast(nn.Conv2d, layer_of(reader)) for reader in relu.users]
        read = torch.stack([reader.weight.detach().abs().amax((0, 2, 3)) for reader in readers]).amax(0) > 0
        found = _bounds(cast(nn.BatchNorm2d, layer_of(node)), read)
        for reader in readers:
            _take_in_(reader, found)
        _insert(network, node, relu, found)
        replaced += 1
    return replaced


def _takes_in(reader: fx.Node) -> bool:
    layer = layer_of(reader) if reader.op == "call_module" else None
    return isinstance(layer, nn.Conv2d) and not any(layer.padding) and layer.groups == 1


def _bounds(norm: nn.BatchNorm2d, read: Tensor) -> _Bounds:
    """Bounds from above only where they matter, since most networks then need none."""
    mean, variance = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    factor = 1 / (variance + norm.eps).sqrt()
    factor = factor if norm.weight is None else factor * norm.weight.double()
    shift = -mean * factor if norm.bias is None else norm.bias.double() - mean * factor
    live = read & (factor.abs() > _DEAD)
    factor = factor.where(live, 0)
    edge = (-shift / factor).where(live, 0)
    return _Bounds(
        low=edge.where(factor >= 0, -torch.inf),
        high=edge.where(factor < 0, torch.inf),
        factor=factor,
        shift=shift.where(live, shift.relu()),
    )


@torch.no_grad()
def _take_in_(conv: nn.Conv2d, found: _Bounds) -> None:
    weight = conv.weight.double()
    given = weight.sum((2, 3)) @ found.shift
    bias = given if conv.bias is None else conv.bias.double() + given
    conv.bias = nn.Parameter(bias.to(conv.weight), requires_grad=False)
    conv.weight.copy_(weight * found.factor.view(1, -1, 1, 1))


def _insert(network: fx.GraphModule, norm: fx.Node, relu: fx.Node, found: _Bounds) -> None:
    like = cast(nn.BatchNorm2d, layer_of(norm)).running_var
    held = []
    with network.graph.inserting_before(norm):
        for side in ("low", "high"):
            name = f"{norm.target}_{side}"
            network.register_buffer(name, getattr(found, side).to(like).view(1, -1, 1, 1))
            held.append(network.graph.get_attr(name))
        bounded = network.graph.call_function(torch.clamp, (sources(norm)[0], *held))
    replace(relu, bounded)
    network.graph.erase_node(norm)
