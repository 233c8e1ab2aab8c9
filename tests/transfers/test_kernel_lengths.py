"""Shortened kernels: what they are, and that those inside a block change no output."""

import pytest
import torch
from source_networks import SmallResNet
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import PrunableModel
from netslim.models import create_model
from netslim.training.bn_statistics import recalibrate_
from netslim.transfers import shorten_, transfer

IMAGES = torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def fresh() -> PrunableModel:
    torch.manual_seed(1)
    return create_model("resnet", depth=20, num_classes=4)


def moved(fresh: PrunableModel) -> PrunableModel:
    model, _ = transfer(SmallResNet(blocks=2).state_dict(), fresh, "select", [IMAGES])
    return model


def kernels(model: nn.Module) -> dict[str, Tensor]:
    return {n: m.weight.detach().clone() for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}


def length(kernel: Tensor) -> float:
    return float(kernel.square().mean().sqrt())


def test_kernels_keep_their_direction(fresh: PrunableModel) -> None:
    model = moved(fresh)
    before, new = kernels(model), kernels(fresh)
    shorten_(model, fresh)
    for name, kernel in kernels(model).items():
        inside = name.startswith("layer") and name.endswith(("conv1", "conv2"))
        factor = 0.4 * length(new[name]) / length(before[name]) if inside else 0.5
        torch.testing.assert_close(kernel, before[name] * factor)
        assert not inside or length(kernel) == pytest.approx(0.4 * length(new[name]))


def test_inside_a_block_no_output_changes(fresh: PrunableModel) -> None:
    """With statistics measured again, what leaves the first block is half of what it was: kernels, not functions."""
    model, short = moved(fresh), moved(fresh)
    shorten_(short, fresh)
    seen = []
    for network in (model, short):
        recalibrate_(network, [IMAGES])
        with torch.no_grad():
            block = network.eval().layer1[0]
            branch = block.conv3(block.bn3(block.conv2(block.bn2(block.conv1(block.bn1(network.conv1(IMAGES)))))))
        seen.append(branch)
    torch.testing.assert_close(seen[1], seen[0] / 2, rtol=1e-2, atol=1e-3 * float(seen[0].std()))


def test_a_kernel_of_zeros_stays_finite(fresh: PrunableModel) -> None:
    model = moved(fresh)
    nn.init.zeros_(model.layer1[0].conv1.weight)
    shorten_(model, fresh)
    assert not model.layer1[0].conv1.weight.any()


def test_other_networks_are_refused(fresh: PrunableModel) -> None:
    with pytest.raises(UsageError, match=r"^VGG is not the pre-activation ResNet that strategy 'select' fills$"):
        shorten_(create_model("vgg", depth=11, num_classes=4), fresh)
    before = kernels(fresh)
    with pytest.raises(UsageError, match=r"^the fresh network has other layers: "):
        shorten_(fresh, create_model("resnet", depth=11, num_classes=4))
    assert all(torch.equal(kernel, before[name]) for name, kernel in kernels(fresh).items())
