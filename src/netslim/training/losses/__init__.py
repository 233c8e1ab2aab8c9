"""Losses, one a file: what a training makes small."""

from netslim.training.losses.loss import LOSSES as LOSSES
from netslim.training.losses.loss import Loss as Loss
from netslim.training.losses.loss import LossSpec as LossSpec
