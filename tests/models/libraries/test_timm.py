"""timm's networks: which have BatchNorm, and blur layers that do not know their width."""

import pytest
import torch

from netslim.core.errors import UsageError
from netslim.models.libraries.timm import WITHOUT_BATCHNORM, build, fetch, normalization, resnets


def test_no_resnet_of_another_normalisation() -> None:
    assert not [name for name in resnets() if name.endswith(WITHOUT_BATCHNORM)]
    assert {"resnet50", "resnetv2_50", "seresnet50"} <= set(resnets())


def test_blur_layers_have_one_filter_for_any_width() -> None:
    network = build("resnetblur18", num_classes=3, in_channels=1).eval()
    blurs = [module for module in network.modules() if type(module).__name__ == "BlurPool2d"]
    assert blurs
    assert all(blur.filt.shape[0] == 1 for blur in blurs)
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 3)


def test_weights_that_there_are_not() -> None:
    with pytest.raises(UsageError, match=r"^timm has no weights called 'resnet18\.none' \(known: .*resnet18\.a1_in1k"):
        fetch("resnet18.none")


def test_the_images_that_weights_were_trained_on() -> None:
    usual = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert normalization("resnet50") == normalization("resnet50.a1_in1k") == normalization("resnet50.mine") == usual
    assert normalization("tf_efficientnet_lite0") == ((0.5,) * 3, (0.5,) * 3)
