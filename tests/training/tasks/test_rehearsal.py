import functools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netslim.core.errors import UserCodeError
from netslim.training.metrics.running import MeanOverImages
from netslim.training.tasks.objective import Checked, Classification, MeanLoss
from netslim.training.tasks.rehearsal import rehearse
from netslim.training.tasks.task import Task

LOGITS, CLASSES = torch.tensor([[2.0, -1.0], [0.0, 1.0], [3.0, 0.0]]), torch.tensor([0, 0, 1])


def task(loss: Any = F.cross_entropy) -> Task:
    running = functools.partial(MeanOverImages, lambda outputs, labels: outputs.mean())
    return Task(objective=Checked(MeanLoss(loss, "l.py:f"), "l.py:f"), metric="m.py:g", running=running)


def test_a_metric_that_can_not_take_the_outputs() -> None:
    def index(outputs: Any, labels: Any) -> Any:
        return outputs["box"]

    broken = Task(objective=Classification(), metric="m.py:g", running=functools.partial(MeanOverImages, index))
    with pytest.raises(UserCodeError, match=r"^metric m.py:g, outputs \(3, 2\) float32 and labels \(3,\) int64: "):
        rehearse(broken, nn.Linear(2, 2), (LOGITS, CLASSES))


def test_a_function_that_is_no_number_on_a_batch_is_none_on_all() -> None:
    broken = Task(objective=Classification(), metric="m.py:g", running=lambda: MeanOverImages(lambda *_: math.nan))
    with pytest.raises(UserCodeError, match=r"^metric m.py:g: it is nan for the first batch, and judges nothing"):
        rehearse(broken, nn.Linear(2, 2), (LOGITS, CLASSES))


def test_a_network_that_learns_nothing_can_be_judged() -> None:
    rehearse(task(), nn.Linear(2, 2).requires_grad_(requires_grad=False), (LOGITS, CLASSES))


def test_a_network_that_can_not_take_the_images() -> None:
    with pytest.raises(UserCodeError, match=r"^the network can't take images \(3, 2\) float32: RuntimeError: "):
        rehearse(task(), nn.Linear(5, 2), (LOGITS, CLASSES))


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (
            lambda o, t: F.cross_entropy(o, t, reduction="none"),
            "loss l.py:f: it gives (3,) float32, not a real scalar",
        ),
        (lambda o, t: 0.5, "loss l.py:f: it gives float, not a real scalar tensor: return its mean"),
        (lambda o, t: o.sum() * 1j, "loss l.py:f: it gives () complex64, not a real scalar tensor: return its mean"),
        (lambda o, t: F.cross_entropy(o.detach(), t), "loss l.py:f: its value does not depend on the network in a way"),
        (lambda o, t: o.sum() * math.nan, "the loss of the first batch is nan, of outputs (3, 2) float32"),
        (
            lambda o, t: F.cross_entropy(o, t + 5),
            "loss l.py:f can't take outputs (3, 2) float32 and labels (3,) int64: ",
        ),
    ],
)
def test_losses_that_train_nothing(loss: Any, said: str) -> None:
    with pytest.raises(UserCodeError) as caught:
        rehearse(task(loss), nn.Linear(2, 2), (LOGITS, CLASSES))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            torch.tensor([0, 1, 7]),
            "the labels are class numbers from 0 to 7, and the network has 2 outputs: 0 to",
        ),
        (torch.tensor([0, -1, 1]), "the labels are class numbers from -1 to 1, and the network has 2 outputs"),
        (torch.zeros(3, 2), "cross_entropy wants logits (N, classes) and class numbers (N,); these are outputs (3, 2)"),
    ],
)
def test_labels_that_do_not_fit_the_outputs(labels: torch.Tensor, said: str) -> None:
    usual = Task(objective=Checked(Classification(), "cross_entropy"))
    rehearse(usual, nn.Linear(2, 2), (LOGITS, CLASSES))
    with pytest.raises(UserCodeError) as caught:
        rehearse(usual, nn.Linear(2, 2), (LOGITS, labels))
    assert str(caught.value).startswith(said)


def test_a_rehearsal_leaves_the_network_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    rehearse(task(), model, (LOGITS, CLASSES))
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
