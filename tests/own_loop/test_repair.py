"""What is said of repairs; what they do is proved in tests/pruning and tests/training."""

from collections import UserDict
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import DataError, UsageError
from netslim.models import create_model
from netslim.own_loop.repair import Repair, repair_
from netslim.pruning import absorb_, apply, plan
from netslim.training.bn_statistics import recalibrate_

with torch.random.fork_rng():  # the same weights whatever other files drew before
    torch.manual_seed(0)
    MODEL = create_model("resnet", depth=11, num_classes=2, in_channels=1).eval()
EXAMPLE = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def computed() -> nn.Module:
    """A network with more parameters than the same network has with plain weights."""
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 8, 3))
    return nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 3)).eval()


NOTHING_REMOVED = {"plain": MODEL, "computed": computed(), "pruned": apply(MODEL, plan(MODEL, EXAMPLE, percent=0.5))}


@pytest.mark.parametrize("model", NOTHING_REMOVED.values(), ids=NOTHING_REMOVED)
def test_where_nothing_was_removed_nothing_is_repaired(model: nn.Module) -> None:
    small = apply(model, plan(model, EXAMPLE, percent=0.0))
    before = {key: value.clone() for key, value in small.state_dict().items()}
    done = repair_(small, model, [EXAMPLE])
    assert (done.title, done.lines(), done.to_dict()) == ("rebuilt", [], {"recalibrated_on": 0})
    assert all(torch.equal(value, before[key]) for key, value in small.state_dict().items())


def test_a_network_that_was_not_pruned_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^this network was not pruned"):
        repair_(MODEL, MODEL, [EXAMPLE])


def test_what_is_said() -> None:
    small = apply(MODEL, plan(MODEL, EXAMPLE, percent=0.5))
    done = replace(repair_(small, MODEL, [EXAMPLE, EXAMPLE]), dataset="digits")
    assert done.title == "absorbed and recalibrated"
    assert done.lines()[0].startswith("constants of the removed channels absorbed by ")
    assert done.lines()[-1] == "BatchNorm statistics from 4 training images of digits"
    assert Repair(images=4, dataset="digits").title == "recalibrated"


def test_layers_are_fitted_in_place_of_statistics() -> None:
    small = apply(MODEL, plan(MODEL, EXAMPLE, percent=0.5))
    images = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    done = replace(repair_(small, MODEL, images.split(16), reconstruct=True), dataset="digits")
    assert done.title == "absorbed and reconstructed"
    assert done.reconstruction is not None
    assert done.lines()[-1] == f"{done.reconstruction} (training images of digits)"
    assert done.to_dict()["recalibrated_on"] == 0
    assert done.to_dict()["reconstructed"]["images"] == 64
    assert done.reconstruction.after < done.reconstruction.before


class Named(nn.Module):
    """(N, 3, 8, 8) by name -> (N, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)
        nn.init.uniform_(self.bn.weight, 0.1, 1)
        nn.init.uniform_(self.bn.bias, 0.5, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        out: Tensor = self.fc(self.bn(self.conv(pixels)).relu().mean((2, 3)))
        return out


def test_it_is_absorption_and_then_statistics() -> None:
    model, images = Named(), torch.randn(4, 3, 8, 8)
    decided = plan(model, images, percent=0.4)
    small, by_hand = apply(model, decided), apply(model, decided)
    repair_(small, model, [images])
    absorb_(by_hand, model, images)
    recalibrate_(by_hand, [images])
    expected = by_hand.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in small.state_dict().items())


@pytest.mark.parametrize(
    "batch",
    [
        lambda images: images,
        lambda images: (images, torch.zeros(4)),
        lambda images: [images, torch.zeros(4)],
        lambda images: {"pixels": images, "labels": torch.zeros(4)},
        lambda images: ({"pixels": images}, torch.zeros(4)),
        lambda images: UserDict(pixels=images, labels=torch.zeros(4)),
    ],
    ids=["tensor", "tuple", "list", "dictionary", "dictionary-and-label", "mapping"],
)
def test_batches_are_as_loaders_give_them(batch: Any) -> None:
    model, images = Named(), [torch.randn(4, 3, 8, 8) for _ in range(3)]
    decided = plan(model, images[0], percent=0.4)
    small, expected = apply(model, decided), apply(model, decided)
    repair_(expected, model, images)
    done = repair_(small, model, (batch(each) for each in images))
    assert done.images == 12
    assert torch.equal(small.bn.running_mean, expected.bn.running_mean)
    assert small.bn.num_batches_tracked == 3


class WithLoss(Named):
    """Gives a number, and one for each image, beside the logits, as networks do that take labels."""

    def forward(self, pixels: Tensor, labels: Tensor) -> Any:  # type: ignore[override]
        logits = super().forward(pixels)
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        return {"loss": losses.mean(), "losses": losses, "logits": logits}


def test_outputs_without_channels() -> None:
    model = WithLoss()
    batch = {"pixels": torch.randn(4, 3, 8, 8), "labels": torch.arange(4)}
    small = apply(model, plan(model, batch, percent=0.4))
    done = repair_(small, model, [batch])
    assert done.images == 4
    assert done.absorption is not None
    assert done.absorption.left == ()


def test_nothing_fits() -> None:
    model, images = Named(), torch.randn(4, 3, 8, 8)
    small = apply(model, plan(model, images, percent=0.4))
    with pytest.raises(DataError) as error:
        repair_(small, model, [{"image": images, "label": torch.zeros(4)}])
    assert str(error.value) == (
        "a batch has image, label, and Named takes pixels: name them alike, or give the inputs alone"
    )
    with pytest.raises(UsageError, match=r"^constants are absorbed at an input: give `example` or a batch, or "):
        repair_(small, model, [])
    assert repair_(small, model, [], absorb=False).title == "rebuilt"
    assert repair_(small, model, [], example=images).title == "absorbed"
