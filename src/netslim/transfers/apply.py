"""Carries out a transfer: source weights and a target in, a new model and its report out."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor

from netslim.core.protocols import PrunableModel
from netslim.transfers.protocol import Proposal
from netslim.transfers.report import TransferReport, learnable_sizes
from netslim.transfers.sources import Source
from netslim.transfers.strategies import STRATEGIES


def transfer(
    source: Source | Mapping[str, Tensor], target: PrunableModel, strategy: str = "guide"
) -> tuple[PrunableModel, TransferReport]:
    """Gives a copy of `target` the weights that the strategy finds for it in `source`.

    Args:
        source: a loaded source network, or a plain state dict.
        target: the network to fill; not changed. What the source has nothing for keeps the target's values.
        strategy: name of a registered strategy.

    Returns:
        The new model, and the report of what became of each key.

    Raises:
        UsageError: no such strategy.
    """
    state = source.state_dict if isinstance(source, Source) else source
    proposal = STRATEGIES.get(strategy)(state, target)
    _check_contract(proposal, target, strategy)
    model = copy.deepcopy(target)
    model.load_state_dict(dict(proposal.tensors), strict=False)
    sizes = learnable_sizes(target)
    report = TransferReport(
        strategy=strategy,
        source=source.describe() if isinstance(source, Source) else None,
        fates=proposal.fates,
        covered=sum(sizes.get(key, 0) for key in proposal.tensors),
        learnable=sum(sizes.values()),
    )
    return model, report


def _check_contract(proposal: Proposal, target: PrunableModel, strategy: str) -> None:
    """Raises ValueError if a strategy reports other keys than it fills: its report would lie."""
    if [fate.key for fate in proposal.fates] != list(target.state_dict()):
        raise ValueError(f"transfer strategy '{strategy}' must give one fate per key of the target, in its order")
    if {fate.key for fate in proposal.fates if fate.fate == "mapped"} != set(proposal.tensors):
        raise ValueError(f"transfer strategy '{strategy}' must give a tensor for exactly the keys it calls mapped")
