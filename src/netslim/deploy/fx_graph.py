"""A network as a flat graph of layers and functions, which the other modules of this room rewrite."""

from __future__ import annotations

import copy
import math
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from netslim.core.networks.copies import copied
from netslim.core.networks.example import Inputs
from netslim.deploy.functionalize import Given as Given
from netslim.deploy.functionalize import UntraceableError as UntraceableError
from netslim.deploy.functionalize import functionalize, given, why_untraceable
from netslim.deploy.parity import are_alike
from netslim.deploy.tracing.held_sizes import note_sizes
from netslim.deploy.tracing.own_layers import calls_as_layers
from netslim.deploy.tracing.symbols import SizedTracer, Tracer, chosen

_RESHAPES = ("view", "reshape", "flatten")
_NOTHING = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.AlphaDropout)


def capture(model: nn.Module, example: Tensor | Inputs) -> fx.GraphModule:
    """A copy of the network in eval mode as a graph; what does nothing in eval mode is gone, and nothing is in place.

    Every layer is an attribute of the graph module itself. A selection is an `index_select` in dimension 1, with its
    index as a buffer. Reshaping (N, C, H, W) to (N, CHW) is a `flatten`, so that no batch size is written in it.

    Where its code computes with the sizes of images, these are those of the example, and any batch may come.

    Args:
        model: left unchanged.
        example: an input (N, C, H, W) with N >= 2; or several tensors, by position or by name.

    Raises:
        UntraceableError: the network has no fixed graph.
    """
    inputs = Inputs.of(example)
    if (scripted := scripted_part(model)) is not None:
        raise UntraceableError(f"'{scripted}' is scripted: it has no fixed graph")
    with torch.inference_mode(False):  # else the copy's tensors don't say when they are changed
        try:
            return _checked(model, Tracer(inputs), inputs)
        except UntraceableError:
            network = _sized(model, inputs)
            if network is None:
                raise
            return network


def _sized(model: nn.Module, inputs: Inputs) -> fx.GraphModule | None:
    """The graph with all sizes of the inputs in it but the batch; None where there is none, for whatever reason."""
    try:
        network = _checked(model, SizedTracer(inputs), inputs)
        holds = are_alike(copied(model).eval(), network, _twice(inputs))
    except Exception:  # that of the first try is the one to tell
        return None
    if holds:
        note_sizes(network, inputs)
    return network if holds else None


def _checked(model: nn.Module, tracer: Tracer, inputs: Inputs) -> fx.GraphModule:
    """The graph, if it computes the same as the network does."""
    network = _captured(copied(model).eval().requires_grad_(False), tracer, tuple(inputs.tensors))
    if not are_alike(copied(model).eval(), network, inputs):  # as where code asks `isinstance(x, Tensor)`
        raise UntraceableError(f"{type(model).__name__} has no fixed graph (its code does otherwise at symbols)")
    return network


def _twice(inputs: Inputs) -> Inputs:
    """The same inputs, twice as many."""
    batch = inputs.batch
    return inputs.map(lambda leaf: torch.cat([leaf, leaf]) if leaf.dim() and len(leaf) == batch else leaf)


def _captured(copied: nn.Module, tracer: Tracer, example: Given) -> fx.GraphModule:
    kept = next((name for name, module in copied.named_modules() if name and module.training), None)
    if kept is not None:
        raise UntraceableError(f"'{kept}' of {type(copied).__name__} stays in train mode")
    for module in copied.modules():
        _settle_weights_(module)
    _split_activations_(copied)
    try:
        graph = tracer.trace(copied)
    except Exception as error:  # whatever the network's own code raised at a symbol
        raise UntraceableError(f"{type(copied).__name__} has no fixed graph ({why_untraceable(error)})") from error
    traced = fx.GraphModule(copied, graph, "Network")
    functionalize(traced, example)
    calls_as_layers(traced)
    for node in list(graph.nodes):
        if node.op == "call_module":
            _plain_(traced, node)
    annotate(traced, example)
    for node in list(graph.nodes):
        if name_of(node) in _RESHAPES and _flattens(node):
            with graph.inserting_before(node):
                replace(node, graph.call_function(torch.flatten, (node.args[0], 1)))
    return _flat(traced, example)


def scripted_part(model: nn.Module) -> str | None:
    """The name of the first part that torch.jit.script made, or None."""
    return next((name for name, part in model.named_modules() if isinstance(part, torch.jit.ScriptModule)), None)


def annotate(network: fx.GraphModule, example: Given) -> None:
    """Writes the shape of every node's value into its `meta["shape"]` (of tensors only)."""
    with torch.no_grad():
        ShapeProp(network).propagate(*given(example))
    for node in network.graph.nodes:
        found = node.meta.get("tensor_meta")
        node.meta["shape"] = tuple(found.shape) if hasattr(found, "shape") else None


def clean(network: fx.GraphModule) -> None:
    """Removes nodes, layers and tensors that nothing reads any more, and makes the code of the graph."""
    network.graph.eliminate_dead_code()
    network.delete_all_unused_submodules()
    used = {str(node.target) for node in network.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in network.named_buffers(recurse=False) if name not in used]:
        delattr(network, name)
    network.graph.lint()
    network.recompile()


def name_of(node: fx.Node) -> str:
    """What a node calls: the layer's class, the function's or the method's name without a trailing underscore."""
    if node.op == "call_module":
        return type(layer_of(node)).__name__
    if node.op == "call_function":
        return cast(str, getattr(node.target, "__name__", str(node.target))).rstrip("_")
    return str(node.target).rstrip("_") if node.op == "call_method" else node.op


def layer_of(node: fx.Node) -> nn.Module:
    """The layer that a `call_module` node calls."""
    owner = node.graph.owning_module
    return cast(nn.Module, owner).get_submodule(str(node.target))


def is_norm(layer: nn.Module | None) -> bool:
    """Whether a layer is a BatchNorm that is one factor and one shift per channel: it keeps statistics."""
    return isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None


def dims_of(node: fx.Node, rank: int) -> set[int] | None:
    """The dimensions of `rank` that a call names as its second argument, `dim` or `axis`; None if it names none."""
    named: dict[object, Any] = {**dict(enumerate(node.args)), **dict(node.kwargs)}  # type: ignore[dict-item]
    dims = next((named[key] for key in (1, "dim", "axis") if key in named), None)
    dims = [dims] if isinstance(dims, int) else dims
    if not isinstance(dims, list | tuple) or not all(isinstance(dim, int) for dim in dims):
        return None
    return {cast(int, dim) % rank for dim in dims}


def pooling_of(node: fx.Node) -> dict[str, Any]:
    """The settings of a pooling layer or function."""
    order = ["kernel_size", "stride", "padding"]
    order += ["dilation", "ceil_mode"] if "max" in name_of(node).lower() else ["ceil_mode", "count_include_pad"]
    plain = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True}
    found: dict[str, Any] = {**plain, "divisor_override": None}
    if node.op == "call_module":
        layer = layer_of(node)
        found |= {name: getattr(layer, name) for name in (*found, "kernel_size") if hasattr(layer, name)}
    else:
        found |= dict(zip(order, node.args[1:], strict=False)) | node.kwargs
    return found | {"stride": found["stride"] or found["kernel_size"]}


def index_of(node: fx.Node) -> Tensor | None:
    """The channels that an `index_select` in dimension 1 passes on, or None for any other node."""
    if name_of(node) != "index_select" or len(node.args) != 3 or node.args[1] != 1:
        return None
    holder = cast(fx.Node, node.args[2])
    return cast(Tensor, getattr(node.graph.owning_module, str(holder.target))) if holder.op == "get_attr" else None


def replace(node: fx.Node, other: fx.Node) -> None:
    """Lets everything that reads `node` read `other`, and removes `node`."""
    node.replace_all_uses_with(other)
    node.graph.erase_node(node)


def sources(node: fx.Node) -> list[fx.Node]:
    """The values that a node reads, apart from parameters and buffers."""
    return [other for other in node.all_input_nodes if other.op != "get_attr"]


def _settle_weights_(module: nn.Module) -> None:
    """Weights that are computed at every call become numbers: parametrizations, torch's older norms, and its masks."""
    if parametrize.is_parametrized(module):
        values = {name: getattr(module, name).detach() for name in cast(nn.ModuleDict, module.parametrizations)}
        module.__class__ = parametrize.type_before_parametrizations(module)  # torch's own removal spoils the original
        del module.parametrizations
        for name, value in values.items():
            module.register_parameter(name, nn.Parameter(value, requires_grad=False))
    for key, hook in list(module._forward_pre_hooks.items()):
        if isinstance(hook, WeightNorm | SpectralNorm | BasePruningMethod):
            hook.remove(module)
            del module._forward_pre_hooks[key]
            module.requires_grad_(False)


def _split_activations_(model: nn.Module) -> None:
    """BatchNorm layers with a built-in activation (timm's) become a BatchNorm and its activation."""
    for name, child in list(model.named_children()):
        act = getattr(child, "act", None)
        if isinstance(child, nn.BatchNorm2d) and type(child) is not nn.BatchNorm2d and isinstance(act, nn.Module):
            kept = child.running_mean is not None
            norm = nn.BatchNorm2d(child.num_features, child.eps, affine=child.affine, track_running_stats=kept)
            norm.to(_number_type(child))
            norm.load_state_dict({key: value for key, value in child.state_dict().items() if key in norm.state_dict()})
            both = nn.Sequential(norm, act).eval().requires_grad_(False)
            if _alike(child, both):  # and not the other way round
                setattr(model, name, both)
        else:
            _split_activations_(child)


def _alike(norm: nn.BatchNorm2d, other: nn.Module) -> bool:
    values = torch.randn(2, norm.num_features, 3, 3, generator=torch.Generator().manual_seed(0))
    values = values.to(_number_type(norm))
    return torch.equal(norm(values.clone()), other(values.clone()))


def _number_type(layer: nn.Module) -> torch.dtype:
    return next((each.dtype for each in layer.state_dict().values() if each.is_floating_point()), torch.float32)


def _plain_(network: fx.GraphModule, node: fx.Node) -> None:
    layer = layer_of(node)
    index = chosen(layer)
    if isinstance(layer, _NOTHING) or (index is not None and len(index) == layer.channels):
        replace(node, cast(fx.Node, node.args[0]))
    elif index is not None:
        name = f"{str(node.target).replace('.', '_')}_index"
        network.register_buffer(name, index.clone())
        with network.graph.inserting_before(node):
            holder = network.graph.get_attr(name)
            replace(node, network.graph.call_method("index_select", (node.args[0], 1, holder)))


def _flattens(node: fx.Node) -> bool:
    shape = node.meta["shape"]
    before: Any = cast(fx.Node, node.args[0]).meta["shape"] if node.args else ()
    return len(before) > 2 and shape == (before[0], math.prod(before[1:]))


def _flat(traced: fx.GraphModule, example: Given) -> fx.GraphModule:
    """The same graph with all layers and tensors directly in the graph module; a shared layer becomes several."""
    root: dict[str, Any] = {}
    traced.graph.eliminate_dead_code()
    for node in traced.graph.nodes:
        node.type = None  # an annotation may name classes that the graph's code doesn't have
        if node.op == "call_module":
            layer, node.target = layer_of(node), _free(str(node.target), root)
            root[node.target] = copy.deepcopy(layer)
        elif node.op == "get_attr":
            value, node.target = _tensor(traced, str(node.target)), _free(str(node.target), root)
            root[node.target] = value.detach().clone()
    network = fx.GraphModule(root, traced.graph, "Network").eval()
    annotate(network, example)
    return network


def _free(target: str, taken: dict[str, Any]) -> str:
    """A name for an attribute that is not taken; those of a Sequential's layers are numbers, which are no names."""
    name = target.replace(".", "_")
    name, number = f"layer_{name}" if name[0].isdigit() else name, 0
    while (found := f"{name}_{number}" if number else name) in taken:
        number += 1
    return found


def _tensor(network: fx.GraphModule, path: str) -> Tensor:
    owner, _, name = path.rpartition(".")
    return cast(Tensor, getattr(network.get_submodule(owner), name))
