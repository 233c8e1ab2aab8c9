"""Role-aware transfer into the guide's pre-activation ResNet: every layer gets what does its work in the source.

Channels are selected, one index set per residual stream (Xu et al. 2024, "Initializing Models with Larger Ones"), and
a post-activation source's BatchNorms move: those inside a block from behind a convolution to before the next one
(conv1's becomes bn2, conv2's becomes bn3), those whose output is added to the stream into the convolution before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from netslim.core.errors import UsageError
from netslim.core.protocols import PrunableModel
from netslim.models.preresnet import PLANES, blocks_per_stage
from netslim.transfers.kernels import fit_inputs, resample
from netslim.transfers.layer_mapping import BlockMapping, evenly_spaced, interleaved, map_evenly, map_in_order
from netslim.transfers.layer_roles import role_of, why_new
from netslim.transfers.residual_channels import ResidualChannels
from netslim.transfers.resnet_layout import EPSILON, Block, Conv, Norm, ResNetLayout, read_layout
from netslim.transfers.strategies import STRATEGIES
from netslim.transfers.strategy import KeyStatus, Moments, Proposal

# An inner BatchNorm that must not cut: its output lies so many standard deviations above zero.
PASS_DEVIATIONS = 2.0


@dataclass(frozen=True, kw_only=True)
class SelectOptions:
    """How `select` works. All but the first two are parts of the method, there to be switched off in experiments.

    Attributes:
        last_stage: the target has three stages; "drop" the source's fourth, or "merge" it into the third.
        select_by: stream channels evenly spaced ("spacing") or those that are written most strongly ("importance").
        consistent: one index set per stream; without, every tensor draws its own.
        fold: BatchNorms move as described above; without, the target's stay as they were.
        scale_branches: a block that is repeated adds to the stream, all copies together, what it adds once.
        distinct: the copies of a block take different inner channels as long as there are any.
        rescale: kernels are scaled for the inputs that were left out.
        spread: source blocks are spread over the stage's depth; without, they fill its first blocks.
    """

    last_stage: Literal["drop", "merge"] = "drop"
    select_by: Literal["spacing", "importance"] = "importance"
    consistent: bool = True
    fold: bool = True
    scale_branches: bool = True
    distinct: bool = True
    rescale: bool = True
    spread: bool = True


DEFAULTS = SelectOptions()


@STRATEGIES.register("select")
def select(source: Mapping[str, Tensor], target: PrunableModel, options: SelectOptions = DEFAULTS) -> Proposal:
    """Finds a place for the weights of any ResNet in the pre-activation ResNet of depth 9n+2.

    Args:
        source: state dict of a torchvision or timm ResNet (see `read_layout`).
        target: an unpruned `resnet`.
        options: variants, and parts to switch off.

    Raises:
        UsageError: the source is no ResNet, or the target another network.
    """
    arch = getattr(target, "arch", None)
    if arch is None or arch.name != "resnet" or target.plan or "cfg" in arch.arguments:
        raise UsageError(
            "strategy 'select' fills the unpruned pre-activation ResNet: type `arch='resnet'`, or `strategy='exact'` "
            "for the source's own network"
        )
    return _Assembly(read_layout(source), target, options).proposal()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """A tensor for one key of the target; without `source_key` it is a start that the source has nothing for."""

    tensor: Tensor
    operation: str
    reason: str
    source_key: str | None


@dataclass(frozen=True, kw_only=True)
class _Share:
    """What part of its source block a target block is.

    Attributes:
        mean, std: of the branch's output, relative to the source's.
        inputs: share of the inner channels that are left.
    """

    mean: float = 1.0
    std: float = 1.0
    inputs: float = 1.0


class _Assembly:
    """The target's tensors, gathered along the stream.

    `mean` and `var` estimate what the stream is in the source's units, from what the BatchNorms gave what was added;
    `absent` is the part of it that the target, whose convolutions have no biases, leaves out.
    """

    def __init__(self, layout: ResNetLayout, target: PrunableModel, options: SelectOptions) -> None:
        self.layout, self.options = layout, options
        self.state = target.state_dict()
        self.depth = blocks_per_stage(int(target.arch.arguments["depth"]))
        self.streams = ResidualChannels(layout, len(self.state["conv1.weight"]), options.select_by, options.consistent)
        self.pieces: dict[str, _Piece] = {}
        self.moments: dict[str, Moments] = {}
        self.identities: list[str] = []
        self.mean = self.var = self.absent = torch.zeros(len(self.state["conv1.weight"]))

    def proposal(self) -> Proposal:
        """Everything that was found, key by key."""
        merged = self.options.last_stage == "merge" and len(self.layout.stages) > len(PLANES)
        self._stem()
        for stage in range(1, len(PLANES) + 1):
            self._stage(stage, merged and stage == len(PLANES))
        stages = self.layout.stages
        left_out = not merged and len(stages) > len(PLANES)
        last = stages[len(PLANES)][0].norm if left_out else self.layout.norm
        self._stream_norm("bn", last, self.streams.channels(len(PLANES) + merged))
        statuses = tuple(self._status(key) for key in self.state)
        tensors = {key: piece.tensor.contiguous() for key, piece in self.pieces.items()}
        return Proposal(statuses=statuses, tensors=tensors, moments=self.moments, identities=tuple(self.identities))

    def _stem(self) -> None:
        conv, like = self.layout.stem, self.state["conv1.weight"]
        rows = self.streams.channels(0)
        kernel = resample(fit_inputs(conv.weight[rows], like.shape[1]), like.shape[-1])
        size = f"{conv.weight.shape[-1]}x{conv.weight.shape[-1]}"
        self._write("conv1", conv, kernel, rows, _Share(), "resampled", f"{size} brought to 3x3, energy kept")

    def _stage(self, stage: int, merged: bool) -> None:
        route = [(block, stage if i else stage - 1, stage) for i, block in enumerate(self.layout.stages[stage - 1])]
        if merged:
            last = self.layout.stages[stage]
            route += [(block, stage + 1 if i else stage, stage + 1) for i, block in enumerate(last)]
        mapped = map_evenly if self.options.spread else map_in_order
        for number, mapping in enumerate(mapped(len(route), self.depth)):
            if mapping.block is not None:
                block, before, after = route[mapping.block]
                self._block(f"layer{stage}.{number}", block, before, after, mapping)

    def _block(self, name: str, block: Block, before: int, after: int, mapping: BlockMapping) -> None:
        planes = len(self.state[f"{name}.conv1.weight"])
        reads = self.streams.channels(before)
        first, second = (self._inner(len(conv.weight), planes, mapping) for conv in block.convs[:2])
        self._stream_norm(f"{name}.bn1", block.norm, reads)
        if block.basic:
            self._factored(name, block.convs[0], first, reads)
            kernel = resample(block.convs[1].weight[:, first], 1)
            last = "3x3 brought to 1x1, energy kept"
        else:
            self._inside(f"{name}.conv1", f"{name}.bn2", block.convs[0], first, reads)
            self._inside(f"{name}.conv2", f"{name}.bn3", block.convs[1], second, first)
            kernel = block.convs[2].weight[:, second]
            last = f"{planes} of {len(block.convs[1].weight)} inputs"
        if f"{name}.downsample.0.weight" in self.state:
            self._project(f"{name}.downsample.0", block, before, after)
        share = self._share(mapping, planes / len(block.convs[0].weight))
        rows = self.streams.channels(after)
        if mapping.copies > 1:
            last += f", one of {mapping.copies} copies"
        self._write(f"{name}.conv3", block.convs[-1], kernel[rows], rows, share, "sliced", last)

    def _inner(self, total: int, wanted: int, mapping: BlockMapping) -> Tensor:
        if self.options.distinct:
            return interleaved(total, wanted, mapping.part, mapping.copies)
        return evenly_spaced(total, wanted)

    def _share(self, mapping: BlockMapping, inputs: float) -> _Share:
        """Copies with different inner channels add up like independent numbers, equal ones like equal numbers."""
        if not self.options.scale_branches:
            return _Share(inputs=inputs)
        copies = mapping.copies
        different = max(1, min(copies, int(1 / inputs))) if self.options.distinct else 1
        return _Share(mean=1 / copies, std=different**0.5 / copies, inputs=inputs)

    def _grow(self, inputs: float) -> float:
        """What keeps the variance of an output of which only a share of the inputs is left."""
        return inputs**-0.5 if self.options.rescale else 1.0

    def _inside(self, name: str, following: str, conv: Conv, rows: Tensor, columns: Tensor) -> None:
        """A convolution inside a block, and the BatchNorm that follows it."""
        kernel = conv.weight[rows][:, columns]
        reason = f"{len(rows)} of {len(conv.weight)} outputs, {len(columns)} of {conv.weight.shape[1]} inputs"
        self._keep(name, kernel, conv, "sliced", reason, len(columns) / conv.weight.shape[1])
        self._inner_norm(following, conv, rows, len(columns) / conv.weight.shape[1])

    def _keep(self, name: str, kernel: Tensor, conv: Conv, operation: str, reason: str, inputs: float) -> None:
        self.pieces[f"{name}.weight"] = _Piece(
            tensor=kernel * self._grow(inputs), operation=operation, reason=reason, source_key=conv.key
        )

    def _inner_norm(self, name: str, conv: Conv, rows: Tensor, inputs: float) -> None:
        norm = conv.norm
        if norm is None or not self.options.fold:
            return
        grow = self._grow(inputs) * inputs
        reason = "normalises the same convolution's output"
        self._norm(name, norm, rows, norm.mean[rows] * grow, norm.var[rows] * grow * self._grow(inputs), reason)

    def _norm(self, name: str, norm: Norm, rows: Tensor, mean: Tensor, var: Tensor, reason: str) -> None:
        values = {"weight": norm.scale[rows], "bias": norm.shift[rows], "running_mean": mean, "running_var": var}
        for suffix, value in values.items():
            self.pieces[f"{name}.{suffix}"] = _Piece(
                tensor=value, operation="sliced", reason=reason, source_key=f"{norm.key}.{suffix}"
            )

    def _factored(self, name: str, conv: Conv, rows: Tensor, columns: Tensor) -> None:
        """A basic block's first 3x3 as 1x1 and 3x3: the best factors of this rank, with nothing cut in between."""
        planes = len(rows)
        kernel = conv.weight[rows][:, columns]
        left, values, right = torch.linalg.svd(kernel.movedim(1, 3).reshape(-1, len(columns)), full_matrices=False)
        spatial = (left * values)[:, :planes].reshape(planes, *kernel.shape[2:], -1).movedim(3, 1)
        reason = f"factor of the 3x3 ({planes} of {len(columns)} directions)"
        self._keep(f"{name}.conv1", right[:planes, :, None, None], conv, "factored", reason, 1.0)
        self._keep(f"{name}.conv2", spatial, conv, "factored", reason, len(columns) / conv.weight.shape[1])
        self._inner_norm(f"{name}.bn3", conv, rows, len(columns) / conv.weight.shape[1])
        if self.options.fold:
            for suffix, value in (("weight", 1.0), ("bias", PASS_DEVIATIONS)):
                self.pieces[f"{name}.bn2.{suffix}"] = _start(torch.full((planes,), value), "lets both factors through")

    def _project(self, name: str, block: Block, before: int, after: int) -> None:
        """The stream's way into a stage of another width: everything that was in it is written anew."""
        rows, columns = self.streams.channels(after), self.streams.channels(before)
        if block.shortcut is not None:
            absent = self.absent
            self.mean = self.var = self.absent = torch.zeros(len(rows))
            total = block.shortcut.weight.shape[1]
            kernel, share = resample(block.shortcut.weight[rows][:, columns], 1), _Share(inputs=len(columns) / total)
            reason = f"{len(rows)} of {len(block.shortcut.weight)} outputs, {len(columns)} of {total} inputs"
            self._write(name, block.shortcut, kernel, rows, share, "sliced", reason)
            self.absent = self.absent + self.pieces[f"{name}.weight"].tensor[..., 0, 0] @ absent
            return
        same = (rows[:, None] == columns[None]).float()
        self.pieces[f"{name}.weight"] = _start(same[:, :, None, None], "the source hands the stream on: the identity")
        self.mean, self.var, self.absent = (same @ values for values in (self.mean, self.var, self.absent))

    def _write(
        self, name: str, conv: Conv, kernel: Tensor, rows: Tensor, share: _Share, operation: str, reason: str
    ) -> None:
        """A convolution that writes to the stream, with its BatchNorm folded into it."""
        norm, scale = conv.norm, self._grow(share.inputs) * share.std
        if norm is None or not self.options.fold:
            self._keep(name, kernel * share.std, conv, operation, reason, share.inputs)
            return
        mean, std = norm.shift[rows] * share.mean, norm.scale[rows] * share.std
        self.moments[name] = Moments(mean=mean, std=std.abs())
        self.absent = self.absent + mean - norm.mean[rows] * norm.factor[rows] * scale * share.inputs
        self.mean, self.var = self.mean + mean, self.var + std.square()
        folded = kernel * norm.factor[rows, None, None, None] * share.std
        self._keep(name, folded, conv, "folded", f"{reason}; {norm.key} folded in", share.inputs)

    def _stream_norm(self, name: str, norm: Norm | None, channels: Tensor) -> None:
        """A BatchNorm of the stream: the source's where it has one, else one that hands the source's stream on."""
        if not self.options.fold:
            return
        if norm is not None:
            self._norm(name, norm, channels, norm.mean[channels], norm.var[channels], "normalises the same stream")
            return
        self.identities.append(name)
        values = {
            "weight": (self.var + EPSILON).sqrt(),
            "bias": self.mean,
            "running_mean": self.mean - self.absent,
            "running_var": self.var,
        }
        for suffix, value in values.items():
            self.pieces[f"{name}.{suffix}"] = _start(value, "the source has no BatchNorm here: the identity")

    def _status(self, key: str) -> KeyStatus:
        piece, role = self.pieces.get(key), role_of(key)
        if piece is None:
            return KeyStatus(key=key, status="unmapped", operation="new", reason=why_new(key), role=role)
        status: Literal["mapped", "unmapped"] = "unmapped" if piece.source_key is None else "mapped"
        return KeyStatus(
            key=key,
            status=status,
            operation=piece.operation,
            reason=piece.reason,
            source_key=piece.source_key,
            role=role,
        )


def _start(tensor: Tensor, reason: str) -> _Piece:
    return _Piece(tensor=tensor, operation="new", reason=reason, source_key=None)
