import functools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netslim.core.errors import DataError, UserCodeError
from netslim.training.metrics.mean_iou import MeanIoU
from netslim.training.metrics.running import Gathered, MeanOverImages
from netslim.training.tasks.objective import Checked, Classification, MeanLoss
from netslim.training.tasks.task import CLASSIFICATION, Task

LOGITS, CLASSES = torch.tensor([[2.0, -1.0], [0.0, 1.0], [3.0, 0.0]]), torch.tensor([0, 0, 1])


def task(loss: Any = F.cross_entropy, score: Any = lambda outputs, labels: outputs.mean(), **given: Any) -> Task:
    objective = Checked(MeanLoss(loss, "l.py:f"), "l.py:f")
    running = functools.partial(MeanOverImages, score)
    return Task(objective=objective, loss="l.py:f", metric="m.py:g", label="g", running=running, **given)


def test_loss_and_metric_are_means_over_the_images() -> None:
    batches = [(LOGITS[:2], CLASSES[:2]), (LOGITS[2:], CLASSES[2:])]
    found = task().evaluate(nn.Identity(), batches)
    assert found.loss == pytest.approx(float(F.cross_entropy(LOGITS, CLASSES)))
    assert found.value == pytest.approx(float(LOGITS.mean()))
    with pytest.raises(DataError, match="there are no images to evaluate on"):
        task().evaluate(nn.Identity(), [])


def test_without_a_metric_top1_is_counted() -> None:
    found = CLASSIFICATION.evaluate(nn.Identity(), [(LOGITS, CLASSES)])
    assert found.value == pytest.approx(1 / 3)
    assert (CLASSIFICATION.is_top1, CLASSIFICATION.sees_everything) == (True, False)


def test_lower_may_be_better_and_what_is_no_share_is_no_percentage() -> None:
    lower = task(higher_is_better=False, is_share=False)
    assert (lower.better(0.1, 0.2), CLASSIFICATION.better(0.1, 0.2)) == (True, False)
    assert (lower.shown(0.123456), CLASSIFICATION.shown(0.123456)) == ("0.1235", "12.35 %")
    assert (lower.key("masked"), CLASSIFICATION.key("masked"), lower.key()) == (
        "metric_masked",
        "top1_masked",
        "metric",
    )
    assert Task(objective=Classification(), running=lambda: Gathered(MeanIoU())).sees_everything


def test_a_metric_that_is_no_number_judges_nothing() -> None:
    with pytest.raises(UserCodeError, match=r"^metric m.py:g: it is nan over 3 images, and judges nothing$"):
        task(score=lambda outputs, labels: math.nan).evaluate(nn.Identity(), [(LOGITS, CLASSES)])
