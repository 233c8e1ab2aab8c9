"""What is saved of a pruned network's accuracy without training: constants absorbed, statistics measured anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from netslim.core.errors import first_of
from netslim.cost import count_params
from netslim.pruning import Absorption, absorb_
from netslim.training.bn_statistics import recalibrate_

SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What was done.

    Attributes:
        absorption: of the removed channels' constants, or None.
        images: number of training images that BatchNorm statistics come from.
        dataset: the name of their data set.
    """

    absorption: Absorption | None = None
    images: int = 0
    dataset: str = ""

    @property
    def title(self) -> str:
        """What the accuracy after it is of."""
        parts = ["absorbed"] if self.absorption else []
        parts += ["recalibrated"] if self.images else []
        return " and ".join(parts) or "rebuilt"

    def lines(self) -> list[str]:
        """What to tell the user."""
        found = []
        if self.absorption is not None:
            found += _absorbed(self.absorption)
        if self.images:
            found.append(f"BatchNorm statistics from {self.images:,} training images of {self.dataset}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """As plain data for `run.json`."""
        done: dict[str, Any] = {"recalibrated_on": self.images}
        if self.absorption is not None:
            found = self.absorption
            done["absorbed"] = {
                "layers": {layer.name: layer.constant for layer in found.layers},
                "left": {part.name: part.channels for part in found.left},
                "border": found.border,
                "before": found.before,
                "after": found.after,
            }
        return done


def repair_(
    small: nn.Module, model: nn.Module, example: Tensor, *, absorb: bool, images: Sequence[Tensor], dataset: str
) -> Repair:
    """Changes the statistics and biases of `small`, pruned from `model`; nothing at all where nothing was removed."""
    if count_params(small) == count_params(model):
        return Repair()
    absorption = absorb_(small, model, example) if absorb else None
    if images:
        recalibrate_(small, (batch.to(example.device) for batch in images))
    return Repair(absorption=absorption, images=sum(len(batch) for batch in images), dataset=dataset)


def _absorbed(found: Absorption) -> list[str]:
    lines = [
        f"constants of the removed channels absorbed by {len(found.layers)} layers: largest difference of a logit "
        f"{found.before:.1e} -> {found.after:.1e}"
    ]
    if found.left:
        names = [f"{part.name} ({part.channels})" for part in found.left]
        lines.append(f"not constant, so left, are channels of {first_of(names, SHOWN)}")
    return lines
