import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from netslim.core.errors import DataError, UsageError
from netslim.training.evaluate import Evaluation, evaluate


def logits_of_two_batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    first = torch.tensor([[math.log(3.0), 0.0], [0.0, math.log(3.0)], [math.log(3.0), 0.0]])
    return [(first, torch.tensor([0, 1, 1])), (torch.zeros(1, 2), torch.tensor([0]))]


def test_closed_form() -> None:
    """Probabilities 3/4, 3/4, 1/4 and 1/2 of the right class; of equal logits the first wins."""
    found = evaluate(nn.Identity(), logits_of_two_batches())
    expected = -(2 * math.log(3 / 4) + math.log(1 / 4) + math.log(1 / 2)) / 4
    assert (found.correct, found.images, found.top1) == (3, 4, 0.75)
    assert found.loss == pytest.approx(expected, rel=1e-6)


def test_modes_come_back_even_after_an_error() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2))
    model.train()
    model[1].eval()

    def stop() -> None:
        assert not model[0].training
        raise InterruptedError

    with pytest.raises(InterruptedError):
        evaluate(model, logits_of_two_batches(), between=stop)
    assert (model.training, model[0].training, model[1].training) == (True, True, False)


@pytest.mark.parametrize(
    ("batches", "text"),
    [
        (
            [torch.eye(3)],
            r"evaluate reads batches of (images, labels), and one is (3, 3) float32: give evaluate(model, [(",
        ),
        ([{"x": torch.eye(2)}], "evaluate reads batches of (images, labels), and one is {x: (2, 2) float32}: give "),
        (
            [(torch.eye(2),) * 3],
            "evaluate reads batches of (images, labels), and one is [(2, 2) float32, (2, 2) float32, ",
        ),
        (torch.eye(2), "this is one batch, and several are expected: give [batch], or a DataLoader"),
        (None, "batches are a DataLoader or a list of them, and this is of type NoneType"),
    ],
)
def test_what_is_no_batch_of_images_and_labels(batches: Any, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}"):
        evaluate(nn.Identity(), batches)


def test_a_network_that_does_not_run_on_the_images() -> None:
    with pytest.raises(UsageError, match=r"^Linear does not run on an input of 3: RuntimeError: "):
        evaluate(nn.Linear(2, 2), [(torch.eye(3), torch.zeros(3, dtype=torch.long))])


def test_several_inputs_as_a_loader_gives_them() -> None:
    class Sum(nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return first + 2 * second

    first, second, labels = torch.eye(2), torch.eye(2).flip(0), torch.tensor([1, 1])
    in_order = evaluate(Sum(), [((first, second), labels)])
    by_name = evaluate(Sum(), [({"second": second, "first": first}, labels)])
    assert in_order == by_name
    assert (in_order.correct, in_order.images) == (1, 2)


def test_statistics_and_gradients_are_not_touched() -> None:
    model = nn.BatchNorm1d(2).train()
    evaluate(model, logits_of_two_batches())
    assert torch.equal(model.running_mean, torch.zeros(2))
    assert model.weight.grad is None


def test_between_is_called_after_every_batch() -> None:
    calls: list[int] = []
    evaluate(nn.Identity(), logits_of_two_batches(), between=lambda: calls.append(1))
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (
            torch.tensor([0, 7]),
            "the labels are class numbers from 0 to 7, and the network has 3 outputs: 0 to 2 are possible",
        ),
        (torch.tensor([0, -100]), "the labels are class numbers from -100 to 0, and the network has 3 outputs: "),
        (
            torch.zeros(2),
            "cross_entropy wants one class number for each of the 2 images, (N,) int64; these are labels (2,) float32",
        ),
        (torch.tensor([0, 1, 2]), "cross_entropy wants one class number for each of the 2 images, (N,) int64; these "),
        (
            torch.zeros(2, 3),
            "cross_entropy wants logits (N, classes) and class numbers (N,); these are outputs (2, 3) float32 and "
            "labels (2, 3) float32: type `loss` and `metric` for them",
        ),
    ],
)
def test_labels_that_are_no_classes_are_one_line(labels: torch.Tensor, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}"):
        evaluate(nn.Identity(), [(torch.zeros(2, 3), labels)])


def test_no_images() -> None:
    with pytest.raises(DataError, match=r"^there are no images to evaluate on$"):
        evaluate(nn.Identity(), [])


def test_an_evaluation_is_plain_data() -> None:
    assert Evaluation(top1=0.5, loss=1.0, correct=1, images=2) == Evaluation(top1=0.5, loss=1.0, correct=1, images=2)
