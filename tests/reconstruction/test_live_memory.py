"""Bytes that a run holds at once, and what is said where there are too few."""

import pytest
import torch
from torch import nn

from netslim.core.errors import DataError, NetslimWarning
from netslim.reconstruction import live_memory, reconstruct_
from netslim.reconstruction.live_memory import LiveMemory, images_with_room
from reconstruction import networks
from reconstruction.networks import IMAGES, pruned


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


@pytest.mark.parametrize("kind", [networks.Residual, networks.TwiceUsed])
def test_where_memory_is_short_parts_do_as_well(monkeypatch: pytest.MonkeyPatch, kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = networks.with_copies(kind())
    at_once = reconstruct_(pruned(model, IMAGES), model, IMAGES.split(16))
    monkeypatch.setattr(live_memory, "available_memory", lambda: 200_000)
    small, told = pruned(model, IMAGES), list[tuple[int, int]]()
    with pytest.warns(NetslimWarning, match=r"of 64 images at one layer .* on \d+ images at a time"):
        done = reconstruct_(small, model, IMAGES.split(16), progress=lambda *turn: told.append(turn))
    assert [fit.name for fit in done.layers] == [fit.name for fit in at_once.layers]
    assert done.before == pytest.approx(at_once.before)
    assert done.after == pytest.approx(at_once.after, rel=0.2, abs=1e-3 * done.before)
    assert told[-1][0] == told[-1][1]


def test_an_image_that_is_too_large_is_said_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = networks.with_copies(networks.Plain())
    small = pruned(model, IMAGES)
    own = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    monkeypatch.setattr(live_memory, "available_memory", lambda: 1_000)
    with pytest.raises(DataError, match=r"make of one image takes up to [\de.-]+ GB of memory, and 1e-06 GB are free"):
        reconstruct_(small, model, IMAGES.split(16))
    assert all(torch.equal(tensor, own[name]) for name, tensor in small.state_dict().items())


def test_how_many_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_memory, "available_memory", lambda: 5 * 10**9)
    cpu = torch.device("cpu")
    assert images_with_room(5 * 10**9, 64, cpu) == 64
    assert images_with_room(10**10, 64, cpu) == 32
    with pytest.raises(DataError) as error:
        images_with_room(10**12, 64, cpu)
    assert str(error.value) == (
        "what both networks make of one image takes up to 16 GB of memory, and 5 GB are free: give smaller images"
    )


def test_what_torch_keeps_of_a_gpus_memory_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 700)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 300)
    assert images_with_room(500, 64, torch.device("cuda")) == 64
    assert images_with_room(501, 64, torch.device("cuda")) == 63
