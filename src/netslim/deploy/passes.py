"""What makes a captured network cheaper without changing what it computes."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from netslim.deploy.channel_spaces import ABSENT, Space, spaces
from netslim.deploy.functionalize import given
from netslim.deploy.fx_graph import Given, annotate, clean, index_of, is_norm, layer_of, name_of, replace, sources

_TINY, _FAR_BELOW = 1e-30, 1e-15  # absolutely, and as a share of the largest
_NEW_TENSORS = {"Conv2d", "BatchNorm2d", "Linear", "add", "cat"}


def fold_norms(network: fx.GraphModule) -> int:
    """Folds every BatchNorm into the convolution whose output it alone reads. Returns how many."""
    folded = 0
    for node in list(network.graph.nodes):
        if not is_norm(_layer(node)) or not sources(node):
            continue
        source = sources(node)[0]
        conv = _layer(source)
        if not isinstance(conv, nn.Conv2d) or len(source.users) > 1:
            continue
        with torch.no_grad():
            fused = fuse_conv_bn_eval(conv, cast(nn.BatchNorm2d, _layer(node))).requires_grad_(False)
        setattr(network, str(source.target), fused)
        replace(node, source)
        folded += 1
    return folded


def clear_tiny(network: fx.GraphModule) -> int:
    """Sets numbers to zero that are far too small to count, as long training with weight decay leaves them.

    What they give is subnormal, and every multiplication with a subnormal number takes a processor a hundred times as
    long. Float32 has seven digits; what goes is below the 15th of the largest in its tensor. Returns how many.
    """
    cleared = 0
    for node in network.graph.nodes:
        layer = _layer(node)
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            for values in layer.parameters():
                largest = float(values.abs().max()) if values.numel() else 0.0
                tiny = (values.abs() < max(_TINY, _FAR_BELOW * largest)) & (values != 0)
                values.masked_fill_(tiny, 0.0)
                cleared += int(tiny.sum())
    return cleared


def drop_full_selections(network: fx.GraphModule) -> None:
    """Removes selections of everything that is left of a stream."""
    for node in list(network.graph.nodes):
        index = index_of(node)
        if index is not None and torch.equal(index, torch.arange(sources(node)[0].meta["shape"][1])):
            replace(node, sources(node)[0])


def select_early(network: fx.GraphModule) -> None:
    """Selections before their BatchNorm instead of after: the BatchNorm then works on what is read only."""
    for node in list(network.graph.nodes):
        index, norm = index_of(node), None if index_of(node) is None else sources(node)[0]
        layer = _layer(norm) if norm else None
        if index is None or norm is None or not is_norm(layer) or len(norm.users) > 1:
            continue
        setattr(network, str(norm.target), _chosen(cast(nn.BatchNorm2d, layer), index))
        node.replace_all_uses_with(norm)
        node.update_arg(0, norm.args[0])
        norm.update_arg(0, node)
        node.append(norm)  # the selection runs first now


def select_by_zeros(network: fx.GraphModule) -> None:
    """No selections: what read the chosen channels reads all, with zero weights for those that were not chosen.

    A selection whose channels are added to others or concatenated stays.
    """
    home = {node: space for space in spaces(network) for node in space.members}
    for node in list(network.graph.nodes):
        index = index_of(node)
        if index is None or node not in home or home[node].fixed or len(home[node].writers) > 1:
            continue
        space, source = home[node], sources(node)[0]
        order = torch.full((home[source].width,), ABSENT)
        order[index] = torch.arange(len(index))
        space.writers.remove(node)
        space.rearrange(order)
        home[source].readers.remove(node)
        home[source].readers += space.readers
        replace(node, source)


def drop_unread(network: fx.GraphModule) -> int:
    """Removes the channels that nothing reads: all their weights are zero, or no selection names them."""
    dropped = 0
    for space in spaces(network):
        if space.fixed or not space.readers or not space.writers:
            continue
        read = torch.zeros(space.width, dtype=torch.bool)
        for node in space.readers:
            read |= _reads(node, space.width)
        if not read.any():
            read[0] = True  # a layer keeps one channel
        if not read.all():
            space.rearrange(read.nonzero().flatten())
            dropped += int((~read).sum())
    return dropped


def pad(network: fx.GraphModule, multiple: int) -> int:
    """Rounds widths up to a multiple with channels of zero weight that nothing reads. Returns how many were added.

    Fast kernels work on blocks of channels. Where a width can't be changed (a concatenation), it stays.
    """
    added = 0
    for space in spaces(network):
        rest = -space.width % multiple
        if rest and not space.fixed and space.readers and space.writers:
            space.rearrange(torch.cat([torch.arange(space.width), torch.full((rest,), ABSENT)]))
            added += rest
    return added


def fold_constants(network: fx.GraphModule, example: Given) -> int:
    """Removes channels with one value whatever the input (a scale that became zero); what read them gets a bias.

    Left alone are channels that a padded convolution reads and that are not zero: at the border it sees the padding.

    Returns:
        How many channels were removed.
    """
    values = _values(network, example)
    removed = 0
    for space in spaces(network):
        if space.fixed or len(space.writers) != 1 or index_of(space.writers[0]) is not None or not space.readers:
            continue
        constant = (cast(nn.Conv2d, layer_of(space.writers[0])).weight == 0).flatten(1).all(1)
        if any(index_of(node) is not None for node in space.readers) or not constant.any():
            continue
        constant &= _absorbable(space, values)
        constant &= torch.stack([_reads(node, space.width) for node in space.readers]).any(0)  # else it is done
        for node in space.readers:
            _absorb(node, constant, values[sources(node)[0]])
        removed += int(constant.sum())
    return removed


def drop_dead_branches(network: fx.GraphModule, example: Given) -> int:
    """Removes sums with a convolution that gives nothing: its weights and biases are all zero. Returns how many."""
    dropped = 0
    for node in list(network.graph.nodes):
        if name_of(node) not in ("add", "iadd") or len(sources(node)) != 2 or node.kwargs:
            continue
        for branch, other in (sources(node), sources(node)[::-1]):
            if _gives_nothing(branch) and branch.meta["shape"] == other.meta["shape"]:
                replace(node, other)
                dropped += 1
                break
    clean(network)
    annotate(network, example)
    return dropped


def _layer(node: fx.Node) -> nn.Module | None:
    return layer_of(node) if node.op == "call_module" else None


def _chosen(norm: nn.BatchNorm2d, index: Tensor) -> nn.BatchNorm2d:
    small = nn.BatchNorm2d(len(index), norm.eps, affine=norm.affine)
    state = {key: value[index] if value.dim() else value for key, value in norm.state_dict().items()}
    small.load_state_dict(state)
    return small.eval().requires_grad_(False)


def _reads(node: fx.Node, width: int) -> Tensor:
    index = index_of(node)
    if index is not None:
        read = torch.zeros(width, dtype=torch.bool)
        read[index] = True
        return read
    weight = cast(nn.Conv2d, layer_of(node)).weight
    return (weight != 0).transpose(0, 1).flatten(1).any(1).cpu()


def _values(network: fx.GraphModule, example: Given) -> dict[fx.Node, Tensor]:
    """Every node's value at an input."""
    found: dict[fx.Node, Tensor] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            result = super().run_node(n)
            if isinstance(result, Tensor):
                found[n] = result.clone()
            return result

    with torch.no_grad():
        Recorder(network).run(*given(example))
    return found


def _absorbable(space: Space, values: dict[fx.Node, Tensor]) -> Tensor:
    able = torch.ones(space.width, dtype=torch.bool)
    for node in space.readers:
        value, layer = values[sources(node)[0]].transpose(0, 1).flatten(1), layer_of(node)
        able &= (value == value[:, :1]).all(1).cpu()
        if isinstance(layer, nn.Conv2d) and any(layer.padding):
            able &= (value == 0).all(1).cpu()
    return able


def _absorb(node: fx.Node, constant: Tensor, value: Tensor) -> None:
    """Moves what the constant channels give into the bias; their weights become zero, so that nothing reads them."""
    layer = cast(nn.Conv2d | nn.Linear, layer_of(node))
    levels = value.transpose(0, 1).flatten(1)[:, 0] * constant.to(value.device)
    weight = layer.weight.detach().clone()
    given = weight.flatten(2).sum(2) @ levels if weight.dim() > 2 else weight @ levels
    weight[:, constant.to(weight.device)] = 0
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if bool(given.any()):
        bias = given if layer.bias is None else layer.bias.detach() + given
        layer.bias = nn.Parameter(bias, requires_grad=False)


def write_in_place(network: fx.GraphModule) -> None:
    """Sums and activations are written over what they alone read: one large tensor less at a time."""
    for node in list(network.graph.nodes):
        layer: Any = _layer(node)
        if hasattr(layer, "inplace"):
            layer.inplace = _made_for(node, sources(node)[0])
        if name_of(node) != "add" or node.kwargs or len(node.args) != 2 or len(sources(node)) != 2:
            continue
        for first, second in (node.args, node.args[::-1]):
            alone = isinstance(_layer(first), nn.Conv2d) and len(first.users) == 1
            if alone and first is not second and first.meta["shape"] == node.meta["shape"]:
                node.op, node.target, node.args = "call_method", "add_", (first, second)
                break


def _made_for(node: fx.Node, source: fx.Node) -> bool:
    """Whether `source` is a tensor of its own that `node` alone reads."""
    return name_of(source) in _NEW_TENSORS and list(source.users) == [node]


def _gives_nothing(node: fx.Node) -> bool:
    layer = _layer(node)
    if not isinstance(layer, nn.Conv2d):
        return False
    return not bool(layer.weight.any()) and (layer.bias is None or not bool(layer.bias.any()))
