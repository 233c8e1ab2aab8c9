"""Optimizers, one a file."""

from netslim.training.optimizers.settings import OPTIMIZERS as OPTIMIZERS
from netslim.training.optimizers.settings import OptimizerSettings as OptimizerSettings
from netslim.training.optimizers.settings import OptimizerSpec as OptimizerSpec
