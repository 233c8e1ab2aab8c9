"""Lightning modules, callbacks and fits, and a plain loop: apart from the tests, as Lightning takes seconds to load."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import netslim
from netslim.integrations import NetworkSlimming, rebuild_

__all__ = ["EMAWeightAveraging", "NetworkSlimming"]

GENERATOR = torch.Generator().manual_seed(2)
DATA = TensorDataset(torch.randn(24, 3, 8, 8, generator=GENERATOR), torch.randint(4, (24,), generator=GENERATOR))


def network() -> nn.Sequential:
    torch.manual_seed(1)
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)),
    )
    for place in (1, 4):
        nn.init.uniform_(model[place].weight, 0.01, 1)
    return model


class Classifier(LightningModule):
    """As a reader would write it."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.model, self.fused = network(), fused

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.model(images), labels)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9, fused=self.fused)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.9)]


class Reloading(Classifier):
    """With the line that `load_from_checkpoint` needs."""

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        rebuild_(self, checkpoint)


def fit(module: LightningModule, slimming: Any, folder: Path, ckpt_path: Any = None, **given: Any) -> Trainer:
    settings: dict[str, Any] = {"max_epochs": 2, "accelerator": "cpu", "logger": False, **given}
    settings = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, **settings}
    callbacks = [*(slimming if isinstance(slimming, list) else [slimming])]
    trainer = Trainer(default_root_dir=folder, callbacks=callbacks, **settings)
    trainer.fit(module, DataLoader(DATA, batch_size=8), ckpt_path=ckpt_path)
    return trainer


def plain_loop(kind: str, parts: int, clip: float | None) -> nn.Module:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.9)
    penalty = netslim.penalty(model, kind, strength=0.05, optimizer=optimizer)
    for _ in range(2):
        for number, (images, labels) in enumerate(DataLoader(DATA, batch_size=8)):
            (F.cross_entropy(model(images), labels) / parts).backward()
            if (number + 1) % parts and number < 2:
                continue
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            penalty.before_step_()
            optimizer.step()
            penalty.after_step_()
            optimizer.zero_grad()
        scheduler.step()
    return model


class Fp32Scaled(MixedPrecision):
    """Lightning's steps of fp16 on a CPU, whose convolutions have no fp16: everything but the type."""

    def forward_context(self) -> Any:
        return torch.autocast("cpu", enabled=False)


class ByHand(Classifier):
    """Steps by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:  # type: ignore[override]
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(F.cross_entropy(self.model(batch[0]), batch[1]))
        optimizer.step()

    def on_train_epoch_end(self) -> None:
        self.lr_schedulers().step()


class Nested(Classifier):
    """The network is a part of a part."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict({"body": network()})

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        return F.cross_entropy(self.model["body"](batch[0]), batch[1])


class Saving(Callback):
    """Saves at the end of the last epoch."""

    def __init__(self, file: Path, weights_only: bool = False) -> None:
        self.file, self.weights_only = file, weights_only

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(self.file, weights_only=self.weights_only)


class Seeing(Callback):
    """Remembers where the penalty believes that the training stands, and ends it after so many batches."""

    def __init__(self, most: int) -> None:
        self.most, self.progress = most, list[tuple[float, int]]()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        found = trainer.callbacks[0]._penalty._penalty.progress
        self.progress.append((found.done, found.epochs))

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        trainer.should_stop = len(self.progress) == self.most


def cut_off(kind: type[Classifier], file: Path, **given: Any) -> Classifier:
    """Two epochs of four, and the file that they leave."""
    module = kind()
    fit(module, [slimming(), Saving(file, **given)], file.parent, max_epochs=2)
    return module


def slimming() -> NetworkSlimming:
    return NetworkSlimming("model", "proximal", strength=0.01, prune_at={1: 0.4})
