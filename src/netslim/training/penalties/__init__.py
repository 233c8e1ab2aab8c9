"""Penalties on BatchNorm scales, one plug-in per file: what makes channels removable."""

from netslim.training.penalties.penalty import PENALTIES as PENALTIES
from netslim.training.penalties.penalty import Penalty as Penalty
from netslim.training.penalties.penalty import PenaltyOptions as PenaltyOptions
from netslim.training.penalties.penalty import PenaltySpec as PenaltySpec
from netslim.training.penalties.penalty import no_penalty as no_penalty
