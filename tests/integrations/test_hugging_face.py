"""The `Trainer` of transformers, with the real one: the same bits as a plain loop."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import netslim
import netslim.integrations
from netslim.core.errors import UsageError

GENERATOR = torch.Generator().manual_seed(2)
IMAGES, LABELS = torch.randn(24, 3, 8, 8, generator=GENERATOR), torch.randint(4, (24,), generator=GENERATOR)


class Images(Dataset[dict[str, Tensor]]):
    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return {"pixel_values": IMAGES[number], "labels": LABELS[number]}


class Classifier(nn.Module):
    """With the loss inside, as transformers' own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.net = nn.Sequential(*layers, nn.Linear(8, 4))
        nn.init.uniform_(self.net[1].weight, 0.01, 1)

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.net(pixel_values)
        return {"logits": logits} if labels is None else {"loss": F.cross_entropy(logits, labels), "logits": logits}


@pytest.fixture(scope="module")
def transformers() -> Any:
    """Imported only where these tests run: it takes seconds."""
    pytest.importorskip("accelerate")
    return pytest.importorskip("transformers")


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def train(transformers: Any, folder: Path, slimming: Any, model: nn.Module, **given: Any) -> torch.optim.Optimizer:
    """With batches in the order of the data."""
    settings: dict[str, Any] = {"lr_scheduler_type": "constant", "num_train_epochs": 2, "report_to": [], **given}
    arguments = transformers.TrainingArguments(
        str(folder), per_device_train_batch_size=8, use_cpu=True, disable_tqdm=True, save_strategy="no", **settings
    )
    optimizer = optimizer_of(model)
    trainer = transformers.Trainer(
        model, arguments, train_dataset=Images(), callbacks=[slimming], optimizers=(optimizer, None)
    )
    trainer.get_train_dataloader = lambda: trainer.accelerator.prepare(DataLoader(Images(), batch_size=8))
    trainer.train()
    return optimizer


@pytest.mark.parametrize("kind", ["l1", "proximal"])
@pytest.mark.parametrize("clip", [0.1, 1000.0])
def test_training_is_that_of_a_plain_loop(transformers: Any, kind: str, clip: float, tmp_path: Path) -> None:
    model, expected = Classifier(), Classifier()
    slimming = netslim.integrations.TrainerSlimming(kind, strength=0.05)
    carried = train(transformers, tmp_path, slimming, model, max_grad_norm=clip)
    optimizer = optimizer_of(expected)
    penalty = netslim.penalty(expected, kind, strength=0.05, optimizer=optimizer)
    for _ in range(2):
        for images, labels in zip(IMAGES.split(8), LABELS.split(8), strict=True):
            optimizer.zero_grad()
            expected(images, labels)["loss"].backward()
            nn.utils.clip_grad_norm_(expected.parameters(), clip)
            penalty.before_step_()
            optimizer.step()
            penalty.after_step_()
    for one, other in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert slimming.report is not None
    assert replace(slimming.report, moved=None) == penalty.report()

    small = netslim.apply(model, netslim.plan(model, {"pixel_values": IMAGES[:2]}, percent=0.4))
    done = netslim.repair_(small, model, DataLoader(Images(), batch_size=8))
    assert done.images == 24
    going_on = netslim.carry(carried, model, small)
    assert going_on.state[small.net[1].weight]["momentum_buffer"].shape == (4,)


def test_an_optimizer_that_has_none_of_the_scales(transformers: Any, tmp_path: Path) -> None:
    model = Classifier()
    arguments = transformers.TrainingArguments(str(tmp_path), use_cpu=True, report_to=[], max_steps=1)
    optimizers = (torch.optim.SGD(model.net[5].parameters(), lr=0.1), None)
    slimming = netslim.integrations.TrainerSlimming(strength=0.1)
    with pytest.raises(UsageError, match=r"^the optimizer has none of the network's scales: give the one that trains"):
        transformers.Trainer(
            model, arguments, train_dataset=Images(), callbacks=[slimming], optimizers=optimizers
        ).train()
