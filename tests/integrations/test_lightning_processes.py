"""Pruning on the way in two processes, with Lightning's own `ddp`: the same plan, the same weights."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed import TCPStore
from torch.utils.data import DataLoader, TensorDataset

from netslim.core.errors import UsageError

pytest.importorskip("lightning")
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy

from netslim.integrations import NetworkSlimming

GENERATOR = torch.Generator().manual_seed(2)
DATA = TensorDataset(torch.randn(24, 3, 8, 8, generator=GENERATOR), torch.randint(4, (24,), generator=GENERATOR))


class Classifier(LightningModule):
    """A network that is pruned, and a head that is not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        conv = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)]
        self.model = nn.Sequential(*conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, 4)
        for place in (1, 4):
            nn.init.uniform_(self.model[place].weight, 0.01, 1)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.head(self.model(images)), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def trained(rank: int, **given: Any) -> dict[str, Tensor]:
    """Three epochs with two prunings; the criterion looks at data that each process has for itself."""
    own = [(DATA.tensors[0][rank::3], DATA.tensors[1][rank::3])]
    settings = {"criterion": "taylor", "batches": own}
    slimming = NetworkSlimming(strength=0.05, prune_at={1: 0.3, 2: 0.5}, settings=settings)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(max_epochs=3, accelerator="cpu", logger=False, callbacks=[slimming], **quiet, **given)
    module = Classifier()
    trainer.fit(module, DataLoader(DATA, batch_size=8))
    return module.state_dict()


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """What each of two processes has at the end, with the same data and with its own."""
    folder = tmp_path_factory.mktemp("ranks")
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "NODE_RANK": "0"}
    shared |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "OMP_NUM_THREADS": "1"}
    files = [folder / f"{rank}.pt" for rank in range(2)]
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, file],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=folder,
        )
        for rank, file in enumerate(files)
    ]
    assert [process.wait() for process in started] == [0, 0]
    return [torch.load(file) for file in files]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_processes_with_the_same_data_are_one_process_with_it(ends: list[dict[str, dict[str, Tensor]]]) -> None:
    alone = trained(0)
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
    ("strategy", "said"),
    [
        (DDPStrategy(start_method="spawn"), "pruning on the way can't be done in processes that are started by spawn"),
        (FSDPStrategy(), "pruning on the way can't be done under FSDPStrategy"),
    ],
)
def test_what_can_not_hand_a_smaller_network_on(strategy: Any, said: str) -> None:
    several: Any = SimpleNamespace(world_size=2, callbacks=[], max_epochs=4, strategy=strategy)
    NetworkSlimming(strength=0.1).setup(several, Classifier(), "fit")  # without prunings they are as good as one
    with pytest.raises(UsageError) as error:
        NetworkSlimming(strength=0.1, prune_at={1: 0.5}).setup(several, Classifier(), "fit")
    assert str(error.value) == (
        f"{said}: type Trainer(strategy='ddp'), or leave prune_at out, and prune between two fits with netslim.plan, "
        f"apply and repair_"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    ddp = {"strategy": "ddp", "devices": 2}
    same = trained(0, **ddp, use_distributed_sampler=False)
    torch.save({"same": same, "own": trained(int(os.environ["RANK"]), **ddp)}, sys.argv[1])
