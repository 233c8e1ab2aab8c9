"""One of two processes of a Lightning training that prunes on the way; as a script it writes what it has at the end."""

import os
import sys
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

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


if __name__ == "__main__":
    torch.set_num_threads(1)
    ddp = {"strategy": "ddp", "devices": 2}
    same = trained(0, **ddp, use_distributed_sampler=False)
    torch.save({"same": same, "own": trained(int(os.environ["RANK"]), **ddp)}, sys.argv[1])
