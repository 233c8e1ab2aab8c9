"""Criteria: a channel group in, one score per channel out. One file each, found through the registry."""

from netslim.core.plugins.registry import Registry
from netslim.pruning.criterion import CriterionSpec

CRITERIA: Registry[CriterionSpec] = Registry("criterion", "netslim.pruning.criteria")


def without_scales() -> list[str]:
    """The criteria that also score channels without a BatchNorm, sorted."""
    return [name for name in CRITERIA.names() if not CRITERIA.get(name).needs_scales]
