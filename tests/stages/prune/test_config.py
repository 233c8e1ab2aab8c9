"""Settings of a pruning."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.prune.config import PruneConfig


def test_the_guides_command_says_all_that_a_pruning_needs() -> None:
    given = {"dataset": "cifar10", "depth": 164, "percent": 0.4, "model": "m.pth.tar", "save": "./pruned_model"}
    config = PruneConfig.build(given)
    assert (config.percent, config.depth, config.dataset) == (0.4, 164, "cifar10")
    assert (config.criterion, config.min_channels, config.round_to, config.steps) == ("bn_scale", 1, 1, 1)
    (use,) = config.writes()
    assert use.path == Path("pruned_model")
    assert "pruned.pth.tar" in use.names


def test_all_mistakes_are_named_together() -> None:
    with pytest.raises(UsageError) as caught:
        PruneConfig.build({"model": "a", "round_to": 0, "steps": 101})
    assert str(caught.value) == (
        "`round_to=0`: input should be greater than or equal to 1; "
        "`steps=101`: input should be less than or equal to 100"
    )
