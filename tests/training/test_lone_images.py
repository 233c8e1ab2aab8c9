"""How many images a process needs where BatchNorm sees one pixel, and where it sees more."""

import pytest
import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.core.processes.distributed import World
from netslim.training.lone_images import least_share

IMAGES = torch.zeros(4, 1, 6, 6)
PAIR = World(0, 2)


def network(one_pixel: bool) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 6 if one_pixel else 3), nn.BatchNorm2d(2))


@pytest.mark.parametrize(
    ("one_pixel", "sizes", "world", "least"),
    [
        (True, (4, 9), World(), 2),  # the last batch has one image
        (True, (4, 8), World(), 0),
        (True, (4, 10), World(), 0),
        (False, (4, 9), World(), 0),
        (True, (4, 10), PAIR, 2),  # each has one of the last two
        (False, (4, 10), PAIR, 1),
    ],
)
def test_two_images_are_needed_where_a_batch_comes_to_one_pixel(
    one_pixel: bool, sizes: tuple[int, int], world: World, least: int
) -> None:
    assert least_share(network(one_pixel), IMAGES, world, sizes, parts=1) == least


def test_the_trial_leaves_the_network_unchanged() -> None:
    model = network(one_pixel=True).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert least_share(model, IMAGES, World(), (4, 9), parts=1) == 2
    assert not model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("one_pixel", "sizes", "world", "parts", "text"),
    [
        (True, (1, 9), World(), 1, "leaves a process fewer than 2 images, and the network's BatchNorm needs 2: type 2"),
        (
            True,
            (4, 8_000),
            World(),
            4,
            "leaves a process fewer than 2 images of each of 4 parts, and the network's BatchNorm needs 2: type 8",
        ),
        (False, (1, 9), PAIR, 1, "leaves a process fewer than 1 images, and the network's BatchNorm needs 1: type 2"),
    ],
)
def test_batches_that_are_too_small_are_refused_with_the_size_to_type(
    one_pixel: bool, sizes: tuple[int, int], world: World, parts: int, text: str
) -> None:
    with pytest.raises(UsageError) as caught:
        least_share(network(one_pixel), IMAGES, world, sizes, parts)
    why, typed = text.split("type ")
    assert str(caught.value) == (
        f"`batch_size={sizes[0]}` of {sizes[1]:,} images {why}type `batch_size={typed}` or more, or take more images"
    )
