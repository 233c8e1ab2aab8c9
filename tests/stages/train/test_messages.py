import pytest

from netslim.core.processes.distributed import ALONE, World
from netslim.models import create_model
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.messages import arguments, processes, summary

RESULT = {"selected_on": "val", "chosen_by": "top-1", "best_top1": 0.5, "best_epoch": 3, "test_top1": 0.25}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "best val top-1 50.00 % in epoch 3, test top-1 25.00 %"),
        ({"selected_on": "test"}, "best test top-1 50.00 % in epoch 3, chosen on the test set"),
        (
            {"chosen_by": "loss + penalty"},
            "val top-1 50.00 % in epoch 3 (lowest loss + penalty), test top-1 25.00 %",
        ),
    ],
)
def test_the_last_line(given: dict[str, str], line: str) -> None:
    assert summary({**RESULT, **given}) == line


def test_the_first_line() -> None:
    assert arguments(create_model("resnet", depth=11, num_classes=2, in_channels=1)).startswith("(depth 11, ")
    assert processes(TrainConfig(), ALONE) == ""
    assert processes(TrainConfig(), World(0, 2)) == "; 2 processes, BatchNorm over each"
    assert processes(TrainConfig(sync_bn=True), World(0, 2)) == "; 2 processes, BatchNorm over all"
