from pathlib import Path

from netslim.stages.info.config import InfoConfig
from netslim.stages.shared.own_code import own_code
from netslim.stages.train.config import TrainConfig


def test_the_files_of_a_run_are_those_that_settings_name() -> None:
    config = TrainConfig(arch="a.py:net", loss="b/c.py:f", metric="torchmetrics:Accuracy", optimizer="adam")
    assert own_code(config) == {"code of arch": Path("a.py"), "code of loss": Path("b/c.py")}
    assert own_code(InfoConfig(model=Path("m"))) == {}
