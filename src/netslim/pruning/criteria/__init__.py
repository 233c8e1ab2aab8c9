"""Criteria: a channel group in, one score per channel out. One file each, found through the registry."""

from netslim.core.protocols import Criterion, InformedCriterion
from netslim.core.registry import Registry

CRITERIA: Registry[Criterion | InformedCriterion] = Registry("criterion", "netslim.pruning.criteria")
SCALELESS: set[str] = set()  # names of criteria that also score channels without a BatchNorm
