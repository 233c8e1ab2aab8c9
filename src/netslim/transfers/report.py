"""What a transfer carried over, key by key and in numbers. Formats nothing but its summary; prints nothing."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from netslim.transfers.strategy import KeyStatus, Status


@dataclass(frozen=True, kw_only=True)
class TransferReport:
    """The outcome of one transfer.

    Attributes:
        strategy: name of the strategy.
        source: where the weights come from (library, model name, origin, hash), or None for a bare state dict.
        statuses: one per key of the target's state dict, in its order.
        covered: elements of the target's learnable parameters that came from the source.
        learnable: elements of all learnable parameters of the target.
    """

    strategy: str
    source: Mapping[str, Any] | None
    statuses: tuple[KeyStatus, ...]
    covered: int
    learnable: int

    @property
    def mapped(self) -> int:
        """Number of keys that were carried over."""
        return self._count("mapped")

    @property
    def skipped(self) -> int:
        """Number of keys that both networks have but that do not fit."""
        return self._count("skipped")

    @property
    def unmapped(self) -> int:
        """Number of keys that the source has nothing for."""
        return self._count("unmapped")

    @property
    def coverage(self) -> float:
        """Share of the learnable parameters that came from the source, 0 to 1."""
        return self.covered / self.learnable if self.learnable else 0.0

    def summary_lines(self) -> list[str]:
        """The guide's summary, one string per line, and the coverage."""
        elements = f"{self.covered:,} of {self.learnable:,}"
        return [
            "Mapping Summary:",
            f"  Mapped: {self.mapped} keys",
            f"  Skipped: {self.skipped} keys",
            f"  Unmapped: {self.unmapped} keys",
            f"  Coverage: {100 * self.coverage:.2f} % of the learnable parameters ({elements})",
        ]

    def counts(self) -> list[tuple[str, str, int]]:
        """(layers, operation, number of keys), in the order of the network: the layers of a role are one entry."""
        found = Counter((_layers(entry), entry.operation) for entry in self.statuses)
        return [(layers, operation, count) for (layers, operation), count in found.items()]

    def rows(self) -> list[tuple[str, Status, str]]:
        """(key, status, reason) per key, for a table."""
        return [(entry.key, entry.status, entry.reason) for entry in self.statuses]

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON or a checkpoint."""
        return {
            "strategy": self.strategy,
            "source": dict(self.source) if self.source is not None else None,
            "mapped": self.mapped,
            "skipped": self.skipped,
            "unmapped": self.unmapped,
            "covered": self.covered,
            "learnable": self.learnable,
            "coverage": self.coverage,
            "keys": [dataclasses.asdict(entry) for entry in self.statuses],
        }

    def _count(self, status: Status) -> int:
        return sum(entry.status == status for entry in self.statuses)


def _layers(entry: KeyStatus) -> str:
    """What a key's layer is called together with those like it: `layer1.0 conv2` is one of all `conv2`."""
    block, _, name = entry.role.partition(" ")
    if not entry.role:
        layers = [part for part in entry.key.split(".")[:-1] if not part.isdecimal()]
        return layers[-1] if layers else entry.key
    if block in ("stem", "head") or not entry.key.startswith(f"{block}."):
        return entry.role
    return name or "others"


def learnable_sizes(model: nn.Module) -> dict[str, int]:
    """State-dict key -> number of elements, of the parameters that training changes."""
    return {name: parameter.numel() for name, parameter in model.named_parameters() if parameter.requires_grad}
