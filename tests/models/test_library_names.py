"""Whether a library has a network, and whether it is a ResNet with BatchNorm."""

import pytest

from netslim.core.errors import UsageError
from netslim.models.library_names import check_classifier, check_resnet, without_tag


def test_known_names_pass() -> None:
    check_resnet("torchvision", "resnet50", "resnet18")
    check_classifier("torchvision", "mobilenet_v2")


def test_tags_are_timms() -> None:
    assert without_tag("timm", "resnet50.a1_in1k") == "resnet50"
    assert without_tag("torchvision", "resnet50.x") == "resnet50.x"


@pytest.mark.parametrize(
    ("library", "model", "said"),
    [
        ("torchvision", "resnet5", "^unknown torchvision ResNet 'resnet5'; did you mean resnet50"),
        ("torchvision", "vgg16", r"^torchvision model 'vgg16' is not a ResNet that .* \(for example resnet18\)$"),
        ("timm", "resnetv2_50d_gn", "has no BatchNorm, whose scales say which channels can go: the families that work"),
    ],
)
def test_names_that_are_refused(library: str, model: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_resnet(library, model, "resnet18")


def test_an_unknown_classifier() -> None:
    with pytest.raises(UsageError, match=r"^unknown torchvision network 'mobilenet_v9'; did you mean mobilenet_v2"):
        check_classifier("torchvision", "mobilenet_v9")
