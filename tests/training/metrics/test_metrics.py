from typing import Any

import pytest
import torch

from netslim.core.errors import ArgumentError
from netslim.core.plugins.references import UserObject
from netslim.core.processes.distributed import ALONE
from netslim.training.metrics import METRICS
from netslim.training.metrics.own import own_metric
from netslim.training.metrics.running import Gathered, MeanOverImages


def measured(running: Any, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    for outputs, targets in batches:
        running.update(outputs, targets, len(outputs))
    return float(running.result(ALONE))


def test_accuracy_of_images_and_of_pixels() -> None:
    score = METRICS.get("accuracy").score
    assert score
    assert score(torch.eye(3), torch.tensor([0, 1, 1])) == pytest.approx(2 / 3)
    pixels = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # (1, 2, 1, 2): classes 0 and 1
    assert score(pixels, torch.tensor([[[0, 0]]])) == 0.5
    with pytest.raises(ValueError, match="the labels are not one class number each"):
        score(torch.eye(3), torch.zeros(3, 1))


def test_label_accuracy_and_mean_absolute_error() -> None:
    labels, error = METRICS.get("multilabel_accuracy"), METRICS.get("mean_absolute_error")
    assert labels.score
    assert error.score
    assert labels.score(torch.tensor([[1.0, -1.0], [2.0, 3.0]]), torch.tensor([[1, 0], [0, 1]])) == 0.75
    assert error.score(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 0.0])) == 2
    assert not error.higher_is_better
    with pytest.raises(ValueError, match="not of one shape"):
        error.score(torch.zeros(4, 1), torch.zeros(4))


def test_mean_iou_is_of_all_pixels_together_and_ignores_what_is_no_class() -> None:
    gather = METRICS.get("mean_iou").gather
    assert gather
    logits = torch.nn.functional.one_hot(torch.tensor([[[0, 0, 1, 1]], [[1, 1, 1, 2]]]), 4).permute(0, 3, 1, 2).float()
    targets = torch.tensor([[[0, 1, 1, 255]], [[1, 1, -100, 0]]])
    batches = [(logits[:1], targets[:1]), (logits[1:], targets[1:])]
    # class 0: 1 of {2 said + 2 true - 1}; class 1: 3 of 3 said, 4 true; class 2: none of 1; class 3 is nowhere
    assert measured(Gathered(gather()), batches) == pytest.approx((1 / 3 + 3 / 4 + 0) / 3)


def test_a_mean_over_images_counts_batches_by_their_images() -> None:
    batches = [(torch.zeros(3), torch.ones(3)), (torch.zeros(1), torch.full((1,), 5.0))]
    assert measured(MeanOverImages(lambda outputs, targets: (targets - outputs).mean()), batches) == 2
    assert measured(MeanOverImages(lambda outputs, targets: 7), batches) == 7


@pytest.mark.parametrize("value", [torch.zeros(2), torch.tensor(1j), "good", None, {"f1": 1}])
def test_what_is_not_one_number(value: object) -> None:
    with pytest.raises(TypeError, match="not one number"):
        MeanOverImages(lambda outputs, targets: value).update(0, 0, 1)


class Count:
    higher_is_better = False

    def __init__(self) -> None:
        self.seen = 0

    def update(self, outputs: Any, targets: Any) -> None:
        self.seen += len(outputs)

    def compute(self) -> int:
        return self.seen

    def reset(self) -> None:
        self.seen = 0


def own(value: Any) -> UserObject:
    return UserObject(field="metric", reference="m.py:f", value=value)


@pytest.mark.parametrize("value", [Count, Count(), lambda: Count()], ids=["class", "object", "maker"])
def test_what_gathers_starts_anew_every_time_and_says_which_is_better(value: Any) -> None:
    def maker() -> Count:
        return Count()

    running, higher = own_metric(own(maker if callable(value) and not isinstance(value, type) else value))
    batches = [(torch.zeros(3), torch.zeros(3))] * 2
    assert [measured(running(), batches) for _ in range(2)] == [6, 6]
    assert not higher


def test_torchmetrics_objects_are_taken_as_they_are() -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    running, higher = own_metric(own(torchmetrics.MeanSquaredError))
    assert not higher
    assert measured(running(), [(torch.zeros(2), torch.ones(2)), (torch.zeros(2), torch.full((2,), 2.0))]) == 2.5


def test_what_is_no_metric() -> None:
    class Endless:
        def update(self, outputs: Any, targets: Any) -> None: ...
        def compute(self) -> float: ...

    with pytest.raises(ArgumentError, match="it has no reset, to start anew: name its class"):
        own_metric(own(Endless()))
    unclear = Count()
    unclear.higher_is_better = "no"
    with pytest.raises(ArgumentError, match="its higher_is_better is 'no', not True or False"):
        own_metric(own(unclear))
    for value, found in ((3, "an int"), (lambda: 4, "an int"), (dict, "a dict")):
        with pytest.raises(ArgumentError, match=f"it gives {found}, not a function"):
            own_metric(own(value))
