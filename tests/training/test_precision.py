import copy
from collections.abc import Callable

import torch
from torch import nn

from netslim.training.precision import Precision


def test_arrange_changes_the_layout_and_no_value(make_tiny: Callable[[], nn.Module]) -> None:
    model, images = make_tiny(), torch.randn(2, 3, 4, 4)
    before = copy.deepcopy(model.state_dict())
    precision = Precision("fp32", channels_last=True)
    precision.arrange_(model)
    arranged = precision.arrange(images)
    assert arranged.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(arranged, images)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_autocast_computes_in_the_dtype() -> None:
    weights = torch.randn(4, 4)
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        with Precision(name).autocast(torch.device("cpu")):
            assert (weights @ weights).dtype == dtype


def test_what_is_printed() -> None:
    assert str(Precision("bf16", channels_last=True)) == "bf16, channels-last"
    assert str(Precision()) == "fp32, contiguous"
