"""The same network on both sides: every tensor is copied, so the target computes what the source computes.

Two ends may differ, because they belong to the images: the first convolution (a 3x3 stem for small images, grey
images), which is resampled, and the head (other classes), which starts anew. Everything between is copied or refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from torch import Tensor, nn

from netslim.core.errors import UsageError, first_of, setting
from netslim.core.protocols import PrunableModel
from netslim.transfers.kernels import fit_inputs, resample
from netslim.transfers.strategies import STRATEGIES
from netslim.transfers.strategy import KeyStatus, Proposal, layer_of
from netslim.transfers.weight_files import mismatches

LISTED = 10
_BLOCK = re.compile(r"(layer\d+\.\d+|stages\.\d+\.blocks\.\d+)\.(.+)")


@STRATEGIES.register("exact")
def same_network(source: Mapping[str, Tensor], target: PrunableModel) -> Proposal:
    """Copies a network into the same network, made prunable.

    Raises:
        UsageError: the source is another network than the target; the first ten differences are listed.
    """
    state = target.state_dict()
    stem, head = _ends(target)
    heads = {head, *_other_heads(source, state, target.arch.arguments.get("num_classes"))}
    _check_same(source, state, f"{stem}.weight", target.arch.name, heads)
    roles = _roles(state, stem, heads)
    whole_head = all(key in source and source[key].shape == state[key].shape for key in state if layer_of(key) in heads)
    statuses: list[KeyStatus] = []
    tensors: dict[str, Tensor] = {}
    for (key, tensor), role in zip(state.items(), roles, strict=True):
        if key not in source or (role == "head" and not whole_head):
            statuses.append(_left(key, tensor, source.get(key), role))
            continue
        tensors[key] = _resampled(source[key], tensor) if key == f"{stem}.weight" else source[key]
        statuses.append(_carried(key, tensor, source[key], role))
    return Proposal(statuses=tuple(statuses), tensors=tensors)


def _ends(model: nn.Module) -> tuple[str, str]:
    """Names of the first convolution and of the classifier, a network's last layer with weights."""
    layers = [(name, module) for name, module in model.named_modules() if [*module.parameters(recurse=False)]]
    stem = next(name for name, module in layers if isinstance(module, nn.Conv2d))
    return stem, layers[-1][0]


def _other_heads(source: Mapping[str, Tensor], state: Mapping[str, Tensor], classes: object) -> set[str]:
    """Layers that have as many outputs as there are classes, and another number in the source (auxiliary heads)."""
    pairs = {key: (source[key].shape, tensor.shape) for key, tensor in state.items() if key in source and tensor.dim()}
    differ = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    return {layer_of(key) for key, (there, here) in differ.items() if here[0] == classes and there[1:] == here[1:]}


def _check_same(
    source: Mapping[str, Tensor], state: Mapping[str, Tensor], stem: str, name: str, heads: Collection[str]
) -> None:
    """Raises UsageError unless the networks agree in everything but heads, stem kernel and input channels."""
    given, expected = (
        {key: tuple(t.shape) for key, t in tensors.items() if layer_of(key) not in heads} for tensors in (source, state)
    )
    if stem in given and len(given[stem]) == 4 and given[stem][0] == expected[stem][0]:
        given[stem] = expected[stem]
    found = mismatches(given, expected)
    if found:
        raise UsageError(
            f"strategy 'exact' needs the same network on both sides, and the source is another one than "
            f"{setting('arch', name)}: "
            f"{len(found)} tensors differ: {first_of(found, LISTED, '; ')}; type `arch='same'` for the source's own "
            "network, or another `strategy`"
        )


def _resampled(kernel: Tensor, like: Tensor) -> Tensor:
    if kernel.shape == like.shape:
        return kernel
    return fit_inputs(resample(kernel, like.shape[-1]), like.shape[1])


def _carried(key: str, tensor: Tensor, given: Tensor, role: str) -> KeyStatus:
    if given.shape == tensor.shape:
        operation, reason = "copied", "same name and shape"
    else:
        operation, reason = "resampled", " and ".join(_changes(given, tensor))
    return KeyStatus(key=key, status="mapped", operation=operation, reason=reason, source_key=key, role=role)


def _changes(given: Tensor, tensor: Tensor) -> Iterator[str]:
    """What a kernel goes through, in words."""
    size, new = given.shape[-1], tensor.shape[-1]
    if size != new:
        yield f"kernel of {size}x{size} resampled to {new}x{new}, energy kept"
    if given.shape[1] != tensor.shape[1]:
        yield f"{given.shape[1]} input channels fitted to {tensor.shape[1]}"


def _left(key: str, tensor: Tensor, given: Tensor | None, role: str) -> KeyStatus:
    """A key that keeps the target's values."""
    if given is None:
        reason = "not in the source: keeps its initial values"
        return KeyStatus(key=key, status="unmapped", operation="new", reason=reason, role=role)
    reason = f"shape {tuple(given.shape)} in the source, {tuple(tensor.shape)} here"
    return KeyStatus(key=key, status="skipped", operation="new", reason=reason, source_key=key, role=role)


def _roles(state: Mapping[str, Tensor], stem: str, heads: Collection[str]) -> Iterator[str]:
    """What each tensor does: "stem", "layer1.0 conv2", "head", or the name of a layer between blocks and head.

    Of a network without such blocks the stem is the first convolution.
    """
    in_stem = any(_BLOCK.fullmatch(layer_of(key)) for key in state)
    for key in state:
        layer = layer_of(key)
        if match := _BLOCK.fullmatch(layer):
            in_stem = False
            yield f"{match[1]} {match[2]}"
        elif layer in heads:
            yield "head"
        else:
            yield "stem" if in_stem or layer == stem else layer
