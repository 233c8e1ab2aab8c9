"""Other people's ways to start a small network from a large one's weights, as strategies of `netslim.transfer`.

All but `iatransfer`, which pairs layers itself, get the pairs that `select` finds: a layer's weights come from the one
that does its work in the source, a BatchNorm's from the one behind the same convolution. The BatchNorms of the residual
stream, of which a post-activation source has none, and the classifier start anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netslim.core.protocols import PrunableModel
from netslim.transfers.layer_mapping import map_evenly
from netslim.transfers.layer_roles import role_of, why_new
from netslim.transfers.resnet_layout import Block, ResNetLayout, read_layout
from netslim.transfers.strategy import KeyStatus, Proposal

STAGES = 3  # of the target


@dataclass(frozen=True, eq=False)
class Role:
    """Tensors that do the same work one behind the other, in the source and in the target.

    Attributes:
        sources: of one shape.
        keys: the target's.
        mapped: for every key, the number of the source that is nearest in depth.
    """

    sources: tuple[Tensor, ...]
    keys: tuple[str, ...]
    mapped: tuple[int, ...]


Rule = Callable[[Role, torch.Size], list[Tensor]]  # the tensors of a role's keys, at the shape that each has


def evenly_spaced(role: Role, shape: torch.Size) -> list[Tensor]:
    """Weight selection (Xu et al. 2024), with the indices of its published code: at equal steps in every dimension."""
    return [_selected(role.sources[number], shape) for number in role.mapped]


def _selected(tensor: Tensor, shape: torch.Size) -> Tensor:
    for dim, (total, wanted) in enumerate(zip(tensor.shape, shape, strict=True)):
        whole = total % wanted == 0
        chosen = torch.arange(wanted) * (total // wanted) if whole else torch.linspace(0, total - 1, wanted).round()
        tensor = tensor.index_select(dim, chosen.long())
    return tensor


def low_frequencies(role: Role, shape: torch.Size) -> list[Tensor]:
    """Frequency truncation (FRONT, arXiv 2603.07523): the lowest frequencies of a cosine transform, in depth too.

    Each tensor without its mean, at deviation one, goes through a transform over all its dimensions and over the
    layers; what is above the target's size is cut off, what it has more is zero, and means and deviations come back.
    The transform is not normalised, as in the published code, so that less numbers are larger ones.
    """
    means = [tensor.mean() for tensor in role.sources]
    deviations = [tensor.std() + 1e-8 for tensor in role.sources]
    stack = torch.stack([(t - m) / d for t, m, d in zip(role.sources, means, deviations, strict=True)]).double()
    for dim, wanted in enumerate((len(role.keys), *shape)):
        stack = _resized(stack, dim, wanted)
    found = zip(stack.float(), role.mapped, strict=True)
    return [tensor * deviations[number] + means[number] for tensor, number in found]


def _resized(tensor: Tensor, dim: int, wanted: int) -> Tensor:
    total = tensor.shape[dim]
    if total == wanted:
        return tensor
    kept = min(total, wanted)
    matrix = _cosines(wanted)[:kept].T @ _cosines(total)[:kept] * (total / wanted) ** 0.5
    return torch.tensordot(matrix, tensor, ([1], [dim])).movedim(0, dim)


def _cosines(size: int) -> Tensor:
    """The orthonormal cosine transform (type II) of so many numbers: frequencies by places."""
    places = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(torch.pi / size * places[:, None] * (places + 0.5)) * (2 / size) ** 0.5
    matrix[0] /= 2**0.5
    return matrix


def by_rule(rule: Rule) -> Callable[[Mapping[str, Tensor], PrunableModel], Proposal]:
    """A strategy of netslim's."""

    def find(source: Mapping[str, Tensor], target: PrunableModel) -> Proposal:
        state = target.state_dict()
        tensors = dict[str, Tensor]()
        for role in _roles(read_layout(source), state):
            tensors |= dict(zip(role.keys, rule(role, state[role.keys[0]].shape), strict=True))
        return Proposal(statuses=tuple(_status(key, key in tensors) for key in state), tensors=tensors)

    return find


def _status(key: str, found: bool) -> KeyStatus:
    if not found:
        return KeyStatus(key=key, status="unmapped", operation="new", reason=why_new(key), role=role_of(key))
    return KeyStatus(key=key, status="mapped", operation="resampled", reason="by its rule", role=role_of(key))


def _roles(layout: ResNetLayout, state: Mapping[str, Tensor]) -> Iterator[Role]:
    """All pairs of a source of bottleneck blocks; the first block of a stage, of another width, is for itself."""
    yield Role((layout.stem.weight,), ("conv1.weight",), (0,))
    for stage in range(1, STAGES + 1):
        blocks = layout.stages[stage - 1]
        depth = sum(key.startswith(f"layer{stage}.") and key.endswith(".conv1.weight") for key in state)
        mapped = [mapping.block for mapping in map_evenly(len(blocks), depth)]
        rest = tuple((number or 0) - 1 for number in mapped[1:])
        for part, tensor in _parts(blocks[0]).items():
            if f"layer{stage}.0.{part}" in state:
                yield Role((tensor,), (f"layer{stage}.0.{part}",), (0,))
        for part in _parts(blocks[-1]):
            keys = tuple(f"layer{stage}.{number}.{part}" for number in range(1, depth))
            yield Role(tuple(_parts(block)[part] for block in blocks[1:]), keys, rest)


def _parts(block: Block) -> dict[str, Tensor]:
    """What goes where in a block of the target."""
    found = {f"conv{number}.weight": conv.weight for number, conv in enumerate(block.convs, 1)}
    for number, conv in enumerate(block.convs[:-1], 2):
        if conv.norm is not None:
            found |= {f"bn{number}.weight": conv.norm.scale, f"bn{number}.bias": conv.norm.shift}
    if block.shortcut is not None:
        found["downsample.0.weight"] = block.shortcut.weight
    return found


def iatransfer_(source: nn.Module, target: nn.Module) -> None:
    """iatransfer 1.0.3 with its defaults: layers matched by dynamic programming, tensors clipped around their centre.

    Raises:
        ImportError: it can't be imported. It needs Python 3.11 or older, and a numpy that its own requirements exclude:
            install it without them.
    """
    from iatransfer.toolkit import IAT

    IAT()(source, target)


RULES: dict[str, Rule] = {"weight selection": evenly_spaced, "frequency truncation": low_frequencies}
