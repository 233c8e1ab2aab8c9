"""Pruning on the way in two processes, with Lightning's own `ddp`: the same plan, the same weights."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed import TCPStore

from netslim.core.errors import UsageError


@pytest.fixture(scope="module")
def pl() -> Any:
    """`lightning_ranks`."""
    pytest.importorskip("lightning")
    return importlib.import_module("integrations.lightning_ranks")


@pytest.fixture(scope="module")
def ends(pl: Any, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """What each of two processes has at the end, with the same data and with its own."""
    folder = tmp_path_factory.mktemp("ranks")
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "NODE_RANK": "0"}
    shared |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "OMP_NUM_THREADS": "1"}
    files = [folder / f"{rank}.pt" for rank in range(2)]
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", Path(__file__).with_name("lightning_ranks.py"), file],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=folder,
        )
        for rank, file in enumerate(files)
    ]
    assert [process.wait() for process in started] == [0, 0]
    return [torch.load(file) for file in files]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_processes_with_the_same_data_are_one_process_with_it(
    pl: Any, ends: list[dict[str, dict[str, Tensor]]]
) -> None:
    alone = pl.trained(0)
    assert len(alone["model.0.weight"]) == 3  # of 8; those of the next are what the head reads
    for end in ends:
        torch.testing.assert_close(end["same"], alone, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_processes_with_data_of_their_own_stay_alike(ends: list[dict[str, dict[str, Tensor]]]) -> None:
    first, second = (end["own"] for end in ends)
    assert len(first["model.0.weight"]) == 3
    for name in first:
        if "running" not in name:  # statistics are each process's own, as without pruning
            assert torch.equal(first[name], second[name]), name


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("DDPStrategy", {"start_method": "spawn"}, "in processes that are started by spawn"),
        ("FSDPStrategy", {}, "under FSDPStrategy"),
    ],
)
def test_what_can_not_hand_a_smaller_network_on(pl: Any, name: str, given: dict[str, Any], said: str) -> None:
    strategy = getattr(importlib.import_module("lightning.pytorch.strategies"), name)(**given)
    several: Any = SimpleNamespace(world_size=2, callbacks=[], max_epochs=4, strategy=strategy)
    pl.NetworkSlimming(strength=0.1).setup(several, pl.Classifier(), "fit")  # without prunings they are as good as one
    with pytest.raises(UsageError) as error:
        pl.NetworkSlimming(strength=0.1, prune_at={1: 0.5}).setup(several, pl.Classifier(), "fit")
    assert str(error.value) == (
        f"pruning on the way can't be done {said}: type Trainer(strategy='ddp'), or leave prune_at out, and prune "
        f"between two fits with netslim.plan, apply and repair_"
    )
