"""Carries out a transfer: source weights and a target in, a new model and its report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from netslim.core.networks.copies import copied
from netslim.core.protocols import PrunableModel
from netslim.transfers.moment_matching import match_moments_
from netslim.transfers.report import TransferReport, learnable_sizes
from netslim.transfers.sources import Source
from netslim.transfers.strategies import STRATEGIES
from netslim.transfers.strategy import Proposal, Strategy


def transfer(
    source: Source | Mapping[str, Tensor],
    target: PrunableModel,
    strategy: str | Strategy | None = None,
    batches: Sequence[Tensor] | None = None,
) -> tuple[PrunableModel, TransferReport]:
    """Gives a copy of `target` the weights that the strategy finds for it in `source`.

    Args:
        source: a loaded source network, or a plain state dict.
        target: the network to fill; not changed. What the source has nothing for keeps the target's values.
        strategy: name of a registered strategy, or a strategy; None for "exact" where the target is a library's
            network, else "select".
        batches: normalised training images (N, C, H, W) of the target's data, on the target's device. With them, a
            strategy that knows what the source's layers give out has the target's scaled to that (`match_moments_`).

    Returns:
        The new model, and the report of what became of each key.

    Raises:
        UsageError: no such strategy, or one that is not for this source and target.

    >>> import netslim
    >>> source = netslim.load_source("torchvision", "resnet18", pretrained=False)
    >>> model, report = netslim.transfer(source, netslim.create_model("resnet", depth=11, num_classes=10))
    >>> report.strategy, report.mapped, f"{report.coverage:.0%}"
    ('select', 24, '96%')
    """
    state = source.state_dict if isinstance(source, Source) else source
    if strategy is None:
        arch = getattr(target, "arch", None)  # a network of the user's own has none, and `select` says so
        strategy = "exact" if arch is not None and "/" in arch.name else "select"
    find = STRATEGIES.get(strategy) if isinstance(strategy, str) else strategy
    proposal = find(state, target)
    name = strategy if isinstance(strategy, str) else _name_of(strategy)
    _check_contract(proposal, target, name)
    model = copied(target)
    model.load_state_dict(dict(proposal.tensors), strict=False)
    if batches and (proposal.moments or proposal.identities):
        match_moments_(model, proposal.moments, proposal.identities, batches)
    sizes = learnable_sizes(target)
    report = TransferReport(
        strategy=name,
        source=source.describe() if isinstance(source, Source) else None,
        statuses=proposal.statuses,
        covered=sum(sizes.get(entry.key, 0) for entry in proposal.statuses if entry.status == "mapped"),
        learnable=sum(sizes.values()),
    )
    return model, report


def _name_of(strategy: Strategy) -> str:
    """What a strategy that was given itself is called in the report."""
    return str(getattr(getattr(strategy, "func", strategy), "__name__", type(strategy).__name__))


def _check_contract(proposal: Proposal, target: PrunableModel, strategy: str) -> None:
    """Raises ValueError if a strategy reports other keys than it fills: its report would lie."""
    if [entry.key for entry in proposal.statuses] != list(target.state_dict()):
        raise ValueError(f"transfer strategy '{strategy}' must give one status per key of the target, in its order")
    mapped = {entry.key for entry in proposal.statuses if entry.status == "mapped"}
    if not mapped <= set(proposal.tensors) <= {entry.key for entry in proposal.statuses if entry.status != "skipped"}:
        raise ValueError(f"transfer strategy '{strategy}' must give a tensor for every key it calls mapped")
