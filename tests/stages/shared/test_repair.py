"""What is said of repairs; what they do is proved in tests/pruning and tests/training."""

import torch

from netslim.models import create_model
from netslim.pruning import apply, plan
from netslim.stages.shared.repair import Repair, repair_

MODEL = create_model("resnet", depth=11, num_classes=2, in_channels=1).eval()
EXAMPLE = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_where_nothing_was_removed_nothing_is_repaired() -> None:
    small = apply(MODEL, plan(MODEL, EXAMPLE, percent=0.0))
    before = {key: value.clone() for key, value in small.state_dict().items()}
    done = repair_(small, MODEL, EXAMPLE, absorb=True, images=[EXAMPLE], dataset="digits")
    assert (done.title, done.lines(), done.to_dict()) == ("rebuilt", [], {"recalibrated_on": 0})
    assert all(torch.equal(value, before[key]) for key, value in small.state_dict().items())


def test_what_is_said() -> None:
    small = apply(MODEL, plan(MODEL, EXAMPLE, percent=0.5))
    done = repair_(small, MODEL, EXAMPLE, absorb=True, images=[EXAMPLE, EXAMPLE], dataset="digits")
    assert done.title == "absorbed and recalibrated"
    assert done.lines()[0].startswith("constants of the removed channels absorbed by ")
    assert done.lines()[-1] == "BatchNorm statistics from 4 training images of digits"
    assert Repair(images=4, dataset="digits").title == "recalibrated"
