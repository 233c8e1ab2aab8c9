"""The contract of a transfer strategy: what becomes of every key of the target, and the tensors that go there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import Tensor

from netslim.core.protocols import PrunableModel

Status = Literal["mapped", "skipped", "unmapped"]


def layer_of(key: str) -> str:
    """The layer that a key of a state dict is of: `layer1.0.conv1.weight` -> `layer1.0.conv1`."""
    return key.rpartition(".")[0]


@dataclass(frozen=True, kw_only=True)
class KeyStatus:
    """What becomes of one key of the target's state dict.

    Attributes:
        key: the target's key.
        status: "mapped" (the tensor comes from the source), "skipped" (the source has the key but it does not fit) or
            "unmapped" (nothing in the source belongs here).
        operation: how the tensor came to be: "copied", "sliced", "folded", "resampled" or "factored"; "new" for
            all that does not come from the source.
        reason: one phrase for people.
        source_key: the source's key for a mapped or skipped one.
        role: what the tensor does in its network ("stem", "layer1.0 conv2"), where the strategy goes by roles.
    """

    key: str
    status: Status
    operation: str
    reason: str
    source_key: str | None = None
    role: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Mean and standard deviation per channel, both of shape (channels,)."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """What a strategy hands over.

    Attributes:
        statuses: one per key of the target's state dict, in its order.
        tensors: target key -> tensor of the target's shape: for all keys that are mapped, and for unmapped ones that
            should not start as the target has them.
        moments: target convolution -> what its output should be over the target's data, as it is in the source.
        identities: target BatchNorms that should hand on what comes in, in the source's units.
    """

    statuses: tuple[KeyStatus, ...]
    tensors: Mapping[str, Tensor]
    moments: Mapping[str, Moments] = field(default_factory=dict)
    identities: tuple[str, ...] = ()


class Strategy(Protocol):
    """Decides what each key of a target gets from a source network."""

    def __call__(self, source: Mapping[str, Tensor], target: PrunableModel) -> Proposal:
        """Reads both state dicts and changes neither."""
        ...
