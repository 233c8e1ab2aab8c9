"""What a world says without any other process; two real ones are in tests/stages/test_several_processes.py."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netslim.core import launch
from netslim.core.errors import UsageError
from netslim.core.processes.distributed import ALONE, World, join

MANY = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}


@given(images=st.integers(1, 40), parts=st.integers(1, 6), size=st.integers(1, 5))
def test_the_processes_share_every_part(images: int, parts: int, size: int) -> None:
    batch = torch.arange(images)
    worlds = [World(rank, size) for rank in range(size)]
    shared = [torch.split(world.share(batch, parts), world.shares(images, parts)) for world in worlds]
    together = [torch.cat(pieces) for pieces in zip(*shared, strict=True)]
    assert [part.tolist() for part in together] == [part.tolist() for part in batch.chunk(parts)]
    assert all(0 <= len(first) - len(last) <= 1 for first, last in zip(shared[0], shared[-1], strict=True))


def test_shares_by_hand() -> None:
    assert World(0, 2).share(torch.arange(7), 2).tolist() == [0, 1, 4, 5]
    assert World(1, 2).share(torch.arange(7), 2).tolist() == [2, 3, 6]
    assert World(1, 2).shares(7, 2) == [2, 1]
    assert World(1, 2).shares(1) == [0]


def test_one_process_needs_nothing() -> None:
    tensor = torch.arange(3.0)
    assert ALONE.share(tensor, 2) is tensor
    assert ALONE.sum_(tensor) is tensor
    assert ALONE.sum(1.5, 2) == [1.5, 2]
    assert ALONE.largest(3) == 3
    assert ALONE.from_first(lambda: "answer") == "answer"
    assert ALONE.one_after_the_first(lambda: "answer") == "answer"
    with join(torch.device("cpu")) as world:
        assert world is ALONE


def test_what_the_launcher_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (launch.launched(), launch.local_rank(), launch.is_first(), launch.may_speak()) == (False, 0, True, True)
    for name, value in MANY.items():
        monkeypatch.setenv(name, value)
    assert (launch.launched(), launch.local_rank(), launch.is_first()) == (True, 1, False)


def test_a_launcher_that_says_half_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    refused = pytest.raises(UsageError, match=r"RANK expected, but not set: start several processes with torchrun$")
    with refused, join(torch.device("cpu")):
        pass


def test_of_several_the_first_that_asks_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[str] = []

    class Counter:
        def add(self, key: str, amount: int, /) -> int:
            counts.append(key)
            return len(counts)

    for name, value in MANY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(launch, "_shared", [])
    assert not launch.may_speak()
    launch.share(Counter())
    assert [launch.may_speak() for _ in range(3)] == [True, False, False]
