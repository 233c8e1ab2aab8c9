"""What makes a pruning suspicious: layers with nothing left, outputs that say nothing, accuracy by chance."""

import warnings
from collections.abc import Mapping

from netslim.core.errors import NetslimWarning, first_of
from netslim.core.protocols import PrunePlan
from netslim.pruning import Agreement

WIDE = 10  # channels of a layer of which one that is left is no layer any more
_SHOWN = 5


def warn_of(plan: PrunePlan, agreement: Agreement, accuracy: Mapping[str, float], classes: int | None) -> None:
    """Warns of what a sound pruning does not do.

    Args:
        plan: what was removed.
        agreement: of the pruned network with the masked one.
        accuracy: `top1_before` and `top1` on the test set, if that is the metric and was measured.
        classes: their number, if it is known.
    """
    floor = max(1, plan.min_channels)
    bare = [part.name for part in plan.groups if part.total >= WIDE and 0 < len(part.keep) <= floor]
    if bare:
        left = "1 channel is" if floor == 1 else f"{floor} channels are"
        _warn(f"only {left} left in {first_of(bare, _SHOWN)}: remove less, or train with the penalty")
    if not agreement.depends_on_input:
        _warn("the pruned network gives the same outputs whatever its input is: remove less, or train with the penalty")
    chance = 1 / classes if classes else 0.0
    if "top1" in accuracy and accuracy["top1"] <= 1.5 * chance < accuracy["top1_before"]:
        _warn(f"right after pruning the accuracy is that of chance ({chance:.1%}): fine-tune, or remove less")


def _warn(text: str) -> None:
    warnings.warn(text, NetslimWarning, stacklevel=3)
