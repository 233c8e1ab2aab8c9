"""What a phase of training is asked before anything is opened."""

import torch

from netslim.core.errors import ArgumentError, UsageError
from netslim.core.plugins.references import is_reference, load_reference
from netslim.report.trackers import TRACKERS
from netslim.stages.shared.networks import new_network
from netslim.stages.shared.tasks import check_task
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.shrinking import check_shrinking
from netslim.stages.train.step_setup import check_step
from netslim.training.schedule import rate_factor


def check(config: TrainConfig) -> None:
    """Raises UsageError for settings that contradict each other, before anything is opened."""
    if config.resume and config.refine:
        raise UsageError(
            "`resume` and `refine` can't go together: `refine` for a pruned network, `resume` for any other"
        )
    if config.select_on not in ("val", "test"):
        raise ArgumentError("select_on", config.select_on, "type val (held out of the training set) or test")
    if config.start_epoch >= config.epochs:
        raise UsageError(f"`start_epoch={config.start_epoch}` leaves no epoch of `epochs={config.epochs}`")
    check_step(config)
    check_shrinking(config)
    if config.nesterov and not config.momentum:
        raise UsageError("`nesterov=True` needs momentum: type `momentum=0.9`, or leave `nesterov` out")
    rate_factor(config.schedule, 0, 1, 0.0)
    check_task(config)
    if config.track:
        TRACKERS.get(config.track).check(config.track)
    if is_reference(config.arch):
        load_reference("arch", config.arch)
    elif not (config.resume or config.refine):
        with torch.device("meta"):  # takes no memory; a wrong depth must not be found after a download
            new_network(config.arch, config.arch_args, config.depth, config.stem)
