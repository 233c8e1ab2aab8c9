"""A step on one batch, before anything is written."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netslim.core.errors import UsageError, UserCodeError
from netslim.data import ImageDataset, Split
from netslim.data.dataset import Augmentation
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.rehearsal import rehearse_phase
from netslim.stages.train.splits import Splits
from netslim.training.tasks.objective import Checked, MeanLoss
from netslim.training.tasks.task import CLASSIFICATION, Task

BATCH = (torch.randn(4, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 0]))
IMAGES = Split(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), BATCH[1])
DATASET = ImageDataset(
    name="images",
    train=IMAGES,
    test=IMAGES,
    class_names=("a", "b"),
    mean=(0.5,),
    std=(0.5,),
    augmentation=Augmentation(pad=0, flip=False),
)


def network(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 2), *layers, nn.Flatten())


def rehearse(model: nn.Module, task: Task = CLASSIFICATION, **given: Any) -> None:
    parts = {
        "select": IMAGES,
        "test": IMAGES,
        **{name: given.pop(name) for name in ("select", "test") if name in given},
    }
    rehearse_phase(TrainConfig(device="cpu", **given), model, task, DATASET, BATCH, Splits(train=IMAGES, **parts))


def test_the_network_is_left_as_it_was() -> None:
    model = network(nn.BatchNorm2d(2)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rehearse(model, sparsity_regularization=True)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_network_that_learns_nothing_is_not_trained() -> None:
    with pytest.raises(UserCodeError, match=r"^the network has no parameter that learns \(requires_grad\)$"):
        rehearse(network().requires_grad_(requires_grad=False))


def test_a_loss_of_something_else_than_the_outputs_is_not_trained_by() -> None:
    weight = torch.ones(1, requires_grad=True)
    loss = MeanLoss(lambda outputs, labels: weight.sum(), "l.py:f")
    with pytest.raises(UserCodeError, match=r"^loss l\.py:f: it does not depend on what the network gives$"):
        rehearse(network(), Task(objective=Checked(loss, "l.py:f"), loss="l.py:f"))


def test_what_only_fails_in_training_is_found() -> None:
    class Fails(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert not self.training
            return images

    with pytest.raises(UserCodeError, match=r"^a step of training: .*AssertionError"):
        rehearse(network(Fails()))
    rehearse(network(nn.ReLU()), Task(objective=Checked(MeanLoss(F.cross_entropy, "l.py:f"), "l.py:f")))


def test_a_penalty_needs_scales() -> None:
    with pytest.raises(UsageError, match="the network has no BatchNorm scales that learn, for a penalty"):
        rehearse(network(), sparsity_regularization=True)


@pytest.mark.parametrize(("part", "name"), [("select", "held-out"), ("test", "test")])
def test_labels_that_are_looked_at_later_are_seen_at_once(part: str, name: str) -> None:
    wrong = Split(IMAGES.images, torch.tensor([0, 5, 1, 0]))
    said = rf"^the first {name} images: the labels are class numbers from 0 to 5, and the network has 2 outputs: 0 to 1"
    with pytest.raises(UserCodeError, match=said):
        rehearse(network(), **{part: wrong})
    rehearse(network(), **{part: wrong}, test_batch_size=1)  # as many as one batch has, since sizes may differ
