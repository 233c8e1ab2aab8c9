"""Images of another scale than those that a network was trained on are told apart from others of the same."""

import warnings

import pytest
import torch
from torch import Tensor

from netslim.core.errors import NetslimWarning
from netslim.reconstruction import reconstruct_
from netslim.reconstruction.unlike_training import FirstNorm
from reconstruction import networks
from reconstruction.networks import IMAGES, pruned


def note(images: Tensor, model: torch.nn.Module | None = None) -> str | None:
    torch.manual_seed(0)
    model = model or networks.with_copies(networks.Plain())
    first = FirstNorm()
    with first.watched(model), torch.no_grad():
        for batch in images.split(16):
            model.eval()(batch)
    return first.note()


def test_others_of_the_same_kind_are_fine_and_another_scale_is_not() -> None:
    assert note(torch.randn(32, *IMAGES.shape[1:], generator=torch.Generator().manual_seed(5))) is None
    found = note(10 * IMAGES)
    assert found is not None
    assert found.startswith(
        "the images are unlike those that the network was trained on: at its first BatchNorm ('bn1') "
    )
    assert "variances are 1e+02 times those that it remembers" in found
    moved = note(IMAGES + 5)
    assert moved is not None
    assert "means are off by 2.3 standard deviations" in moved


class LastNorm(torch.nn.BatchNorm1d):
    """Its channels come last."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def test_a_norm_that_does_not_read_what_it_is_given_says_nothing() -> None:
    assert note(torch.randn(32, 5, 3), LastNorm(3)) is None


def test_a_batch_norm_that_has_seen_nothing_knows_nothing() -> None:
    assert note(100 * IMAGES, networks.Plain()) is None


def test_one_that_has_seen_little_still_remembers_mostly_how_it_began() -> None:
    torch.manual_seed(0)
    model = networks.Plain().train()
    model.conv1.weight.data /= 10
    for _ in range(3):
        model(IMAGES)
    assert note(IMAGES, model) is None
    assert note(1000 * IMAGES, model) is not None


def test_it_is_a_warning_of_the_fit() -> None:
    torch.manual_seed(0)
    model = networks.with_copies(networks.Plain())
    with pytest.warns(NetslimWarning, match="unlike those that the network was trained on"):
        done = reconstruct_(pruned(model, IMAGES), model, (30 * IMAGES).split(16))
    assert done.note is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error", NetslimWarning)
        assert reconstruct_(pruned(model, IMAGES), model, IMAGES.split(16)).note is None


class ByName(torch.nn.Module):
    """Calls its BatchNorm by the argument's name."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(IMAGES.shape[1])

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.norm(input=images)
        return found


def test_a_batch_norm_may_be_called_by_the_arguments_name() -> None:
    model = ByName()
    model.norm.num_batches_tracked += 1000
    assert note(torch.randn(64, *IMAGES.shape[1:], generator=torch.Generator().manual_seed(5)), model) is None
    assert note(1000 * IMAGES, model) is not None
