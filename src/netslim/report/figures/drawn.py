"""The metric in a picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What rows call the metric, and how axes show it.

    Attributes:
        key: in the rows; those of repaired networks end in `_recalibrated` and `_reconstructed`.
        label: of the axis.
        is_share: whether it lies between 0 and 1 and is drawn in percent.
    """

    key: str = "top1"
    label: str = "top-1"
    is_share: bool = True

    @property
    def recalibrated(self) -> str:
        """The key of networks with statistics of their own."""
        return f"{self.key}_recalibrated"

    @property
    def reconstructed(self) -> str:
        """The key of networks whose layers were fitted."""
        return f"{self.key}_reconstructed"

    @property
    def axis(self) -> str:
        """What stands at the axis."""
        return f"{self.label} (%)" if self.is_share else self.label

    def height(self, row: Mapping[str, Any], key: str | None = None) -> float:
        """Where a row is drawn."""
        return float((100 if self.is_share else 1) * row[key or self.key])


TOP1 = Drawn()
