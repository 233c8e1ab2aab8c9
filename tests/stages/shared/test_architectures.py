"""Settings that an architecture has, and those that it has not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import UsageError

Train = Callable[..., dict[str, Any]]


ARCH = "timm/test_resnet"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arch": ARCH, "depth": 164}, "`depth=164`: timm/test_resnet has its depth in its name; leave `depth` out"),
        (
            {"arch": "resnet", "stem": "cifar"},
            "`stem='cifar'`: only torchvision/NAME and timm/NAME have one; leave `stem` out",
        ),
        ({"arch": ARCH, "depth": None, "stem": "big"}, "unknown stem 'big' (known: cifar, imagenet)"),
        ({"arch": "timm/test_resnte", "depth": None}, "unknown timm network 'test_resnte'; did you mean test_resnet"),
    ],
)
def test_flags_that_the_architecture_has_not(
    run_train: Train, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        run_train(save=tmp_path / "run", **given)
    assert str(error.value).startswith(message)
    assert not (tmp_path / "run").exists()
