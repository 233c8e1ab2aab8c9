"""Trainings that can't be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import UsageError

Train = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"resume": Path("a"), "refine": Path("b")},
            "`resume` and `refine` can't go together: `refine` for a pruned network, `resume` for any other",
        ),
        ({"select_on": "tst"}, "`select_on='tst'`: type val (held out of the training set) or test"),
        (
            {"nesterov": True, "momentum": 0.0},
            "`nesterov=True` needs momentum: type `momentum=0.9`, or leave `nesterov` out",
        ),
        ({"start_epoch": 2}, "`start_epoch=2` leaves no epoch of `epochs=2`"),
        ({"schedule": "poly"}, "unknown schedule 'poly' (known: cosine, onecycle, step)"),
        ({"depth": 12}, "`depth=12`: the depth of a bottleneck ResNet is 9n+2; the nearest is 11 or 20"),
        ({"precision": "fp64"}, None),
        ({"device": "tpu"}, "`device='tpu'`: type auto, cpu, cuda or cuda:N"),
        ({"arch": "vgg", "depth": 20}, "`depth=20`: the depth of a VGG is 11, 13, 16 or 19"),
        (
            {"arch": "densenet", "depth": 41},
            "`depth=41`: the depth of a DenseNet is 3n+4; the nearest is 40 or 43",
        ),
        (
            {"arch": "vgg", "depth": None, "stem": "cifar"},
            "`stem='cifar'`: only torchvision/NAME and timm/NAME have one; leave `stem` out",
        ),
        (
            {"arch": "resnext"},
            "unknown architecture 'resnext'; did you mean timm/resnext26ts or torchvision/resnext50_32x4d or "
            "timm/resnext50d_32x4d? "
            "(known: densenet, resnet, timm/NAME, torchvision/NAME, vgg)",
        ),
    ],
)
def test_settings_that_can_not_be(run_train: Train, tmp_path: Path, given: dict[str, Any], message: str | None) -> None:
    with pytest.raises(UsageError) as error:
        run_train(save=tmp_path / "run", **given)
    assert message is None or str(error.value) == message
    assert not (tmp_path / "run" / "checkpoint.pth.tar").exists()
