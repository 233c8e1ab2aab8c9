"""Bytes that a run holds at once, and what is said where there are too few."""

import pytest
import torch
from torch import nn

from netslim.core.errors import DataError
from netslim.reconstruction import live_memory, reconstruct_
from netslim.reconstruction.live_memory import LiveMemory, require_room
from reconstruction import networks
from reconstruction.networks import IMAGES
from reconstruction.test_reconstruct import pruned


def test_what_is_gone_counts_no_more_and_views_count_once() -> None:
    x = torch.zeros(250)
    memory = LiveMemory()
    with memory, torch.no_grad():
        for _ in range(3):
            y = (x + 1).view(5, 50).t()  # 1,000 bytes, however it is looked at
            z = y.relu_()  # written in place: nothing new
            del y, z
    assert memory.peak == 1000
    network = nn.Sequential(nn.Linear(250, 500), nn.Linear(500, 750))
    with memory, torch.no_grad():
        network(x)
    assert memory.peak == 2000 + 3000


def test_too_many_images_for_the_memory_are_said_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = networks.with_copies(networks.Plain())
    small = pruned(model, IMAGES)
    own = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    monkeypatch.setattr(live_memory, "available_memory", lambda: 100_000)
    with pytest.raises(
        DataError, match=r"of 64 images at one layer takes up to [\d.]+ GB of memory, .*, about \d+, or"
    ):
        reconstruct_(small, model, IMAGES.split(16))
    assert all(torch.equal(tensor, own[name]) for name, tensor in small.state_dict().items())


@pytest.mark.parametrize(
    ("free", "advice"), [(5 * 10**9, "fewer images, about 32, or smaller ones"), (10**8, "smaller images")]
)
def test_how_many_would_fit_is_said_unless_they_were_too_few(
    monkeypatch: pytest.MonkeyPatch, free: int, advice: str
) -> None:
    monkeypatch.setattr(live_memory, "available_memory", lambda: free)
    with pytest.raises(DataError) as error:
        require_room(10**10, 64, torch.device("cpu"))
    assert str(error.value) == (
        "what both networks make of 64 images at one layer takes up to 10 GB of memory, "
        f"and {free / 1e9:.2g} GB are free: give {advice}"
    )
    require_room(free, 64, torch.device("cpu"))


def test_what_torch_keeps_of_a_gpus_memory_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 300)
    require_room(500, 64, torch.device("cuda"))
    with pytest.raises(DataError, match="give fewer images, about 63, or"):
        require_room(501, 64, torch.device("cuda"))
