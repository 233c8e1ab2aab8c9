"""Settings of trial prunings."""

from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.analyze.config import SensitivityConfig, SweepConfig


def test_a_sweep_repairs_by_default_and_a_sensitivity_does_not() -> None:
    sweep, sensitivity = SweepConfig(model=Path("a")), SensitivityConfig(model=Path("a"))
    assert (sweep.recalibrate, sensitivity.recalibrate) == (20, 0)
    assert (sweep.split, sensitivity.split, sensitivity.shares) == ("val", "val", "0.25,0.5,0.75")
    assert (sweep.writes()[0].path, sensitivity.writes()[0].path) == (Path("sweep"), Path("sensitivity"))


@pytest.mark.parametrize("config", [SweepConfig, SensitivityConfig])
def test_a_layer_keeps_a_channel(config: type[SweepConfig | SensitivityConfig]) -> None:
    with pytest.raises(UsageError, match=r"^`min_channels=0`: input should be greater than or equal to 1$"):
        config.build({"model": "a", "min_channels": 0})
