"""Penalties on the scales of normalisations, one plug-in per file: what makes channels removable."""

from netslim.training.penalties.own_loop import check_settings as check_settings
from netslim.training.penalties.own_loop import scale_penalty as scale_penalty
from netslim.training.penalties.penalty import PENALTIES as PENALTIES
from netslim.training.penalties.penalty import Penalty as Penalty
from netslim.training.penalties.penalty import PenaltyOptions as PenaltyOptions
from netslim.training.penalties.penalty import PenaltySpec as PenaltySpec
from netslim.training.penalties.penalty import no_penalty as no_penalty
from netslim.training.penalties.report import LayerScales as LayerScales
from netslim.training.penalties.report import ScaleReport as ScaleReport
from netslim.training.penalties.scale_penalty import ScalePenalty as ScalePenalty
