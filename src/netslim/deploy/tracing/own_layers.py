"""Calls of `conv2d` and `linear` with a network's own weights, as layers with code of their own make them."""

from __future__ import annotations

import copy
import operator
from itertools import chain, count
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

_NAMES = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_PLAIN: dict[str, Any] = {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
_RANKS: dict[object, int] = {torch.conv2d: 4, functional.linear: 2}  # of the weight


def calls_as_layers(network: fx.GraphModule) -> int:
    """Puts a layer in the place of each such call whose settings are numbers. Returns how many there are.

    Other passes know layers: they fold BatchNorms into them, and take channels out.
    """
    made = 0
    for node in list(network.graph.nodes):
        rank = _RANKS.get(node.target) if node.op == "call_function" else None
        if rank is None:
            continue
        call = {**_PLAIN, **dict(zip(_NAMES, node.args, strict=False)), **node.kwargs}
        weight, bias = _held(network, call["weight"]), _held(network, call["bias"])
        settings = {name: call[name] for name in ("stride", "padding", "dilation", "groups")}
        if weight is None or weight.dim() != rank or (bias is None) != (call["bias"] is None):
            continue
        if not {*node.all_input_nodes} <= {call["input"], call["weight"], call["bias"]}:  # a setting is computed
            continue
        name = _free(network, str(call["weight"].target))
        network.add_module(name, _layer(weight, bias, settings))
        with network.graph.inserting_before(node):
            layer = network.graph.call_module(name, (call["input"],))
        node.replace_all_uses_with(layer)
        network.graph.erase_node(node)
        made += 1
    network.graph.eliminate_dead_code()
    return made


def _free(network: fx.GraphModule, weight: str) -> str:
    """A name after that of the layer that has the weight, by which others know it; with a number where it is taken."""
    base = weight.rpartition(".")[0].replace(".", "_") or weight
    names = chain([base], (f"{base}_{number}" for number in count(1)))
    return next(name for name in names if not hasattr(network, name))


def _held(network: fx.GraphModule, node: object) -> Tensor | None:
    """The tensor of the network that a node reads."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    value = operator.attrgetter(str(node.target))(network)
    return value.detach() if isinstance(value, Tensor) else None


def _layer(weight: Tensor, bias: Tensor | None, settings: dict[str, Any]) -> nn.Module:
    given: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in settings.items()}
    outputs, inputs, *kernel = weight.shape
    layer: nn.Conv2d | nn.Linear
    with torch.device("meta"):
        if kernel:
            height, width = kernel
            layer = nn.Conv2d(inputs * given["groups"], outputs, (height, width), bias=bias is not None, **given)
        else:
            layer = nn.Linear(inputs, outputs, bias=bias is not None)
    layer.weight = nn.Parameter(copy.deepcopy(weight), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(copy.deepcopy(bias), requires_grad=False)
    return layer.eval()
