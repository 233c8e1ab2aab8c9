from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import TensorDataset

import netslim
from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import UsageError
from netslim.core.plugins.references import UserObject
from netslim.core.schemas import TaskFacts
from netslim.data import AnyDataset, load_dataset, open_user_data
from netslim.data.dataset import ImageDataset
from netslim.stages.shared.config import TaskConfig
from netslim.stages.shared.tasks import check_criterion, check_task, task_facts, task_of
from netslim.training.tasks.task import CLASSIFICATION


@pytest.fixture(scope="module")
def digits() -> ImageDataset:
    return load_dataset("digits", Path())


def mine(labels: torch.Tensor, weights: Any = None) -> AnyDataset:
    part = TensorDataset(torch.zeros(len(labels), 1, 4, 4), labels)
    given = netslim.UserData(part, None, part, class_weights=weights)
    return open_user_data(UserObject(field="dataset", reference="d.py:f", value=lambda: given), {})


def test_the_usual_task_is_the_originals_and_leaves_no_mark(digits: ImageDataset) -> None:
    for dataset in (digits, mine(torch.arange(4))):
        task = task_of(TaskConfig(), dataset)
        assert (task.is_top1, task.label, task_facts(task, 0.5)) == (True, "top-1", None)
    assert task_of(TaskConfig(), digits) == CLASSIFICATION


def test_labels_of_pixels_and_weights_of_classes_are_another_task() -> None:
    for dataset in (mine(torch.zeros(4, 4, 4).long()), mine(torch.arange(4), [1, 1, 1, 9])):
        task = task_of(TaskConfig(), dataset)
        assert (task.is_top1, task.label, task.loss) == (False, "top-1", "cross_entropy")
        assert task_facts(task, 0.5) == TaskFacts(loss="cross_entropy", metric="accuracy", best=0.5)


def test_weights_of_classes_count_in_the_loss() -> None:
    task = task_of(TaskConfig(), mine(torch.tensor([0, 1]), [1.0, 3.0]))
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0]], requires_grad=True)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]), weight=torch.tensor([1.0, 3.0]))
    assert float(task.objective(logits, torch.tensor([0, 1]), 2)[0]) == pytest.approx(2 * float(expected))
    with pytest.raises(UsageError, match=r"`loss='mse'`: it has no use for the class_weights of the data set"):
        task_of(TaskConfig(loss="mse"), mine(torch.tensor([0, 1]), [1.0, 3.0]))


def test_what_a_file_says_counts_until_the_user_says_something_else(digits: ImageDataset) -> None:
    facts = TaskFacts(loss="mse", metric="mean_absolute_error", metric_mode="max")
    checkpoint = Checkpoint(state_dict={}, task=facts)
    task = task_of(TaskConfig(), digits, checkpoint, Path("f"))
    assert (task.loss, task.metric, task.higher_is_better) == ("mse", "mean_absolute_error", True)
    task = task_of(TaskConfig(metric="accuracy"), digits, checkpoint, Path("f"))
    assert (task.loss, task.metric, task.mode) == ("mse", "accuracy", None)
    assert not task_of(TaskConfig(metric="mean_absolute_error"), digits).higher_is_better
    assert task_of(TaskConfig(metric="mean_iou", metric_mode="min"), digits).higher_is_better is False


def test_what_only_a_file_names_is_not_run(digits: ImageDataset) -> None:
    checkpoint = Checkpoint(state_dict={}, task=TaskFacts(loss="os:abort", metric="accuracy"))
    with pytest.raises(UsageError, match=r"^f was trained with loss os:abort: type `loss='os:abort'`, or another"):
        task_of(TaskConfig(), digits, checkpoint, Path("f"))


def test_mistakes_are_found_before_anything_is_opened(digits: ImageDataset) -> None:
    for given in ({"loss": "hinge"}, {"metric": "f2"}, {"metric_mode": "up"}, {"loss": "no.py:f"}):
        with pytest.raises(UsageError):
            check_task(TaskConfig(**given))
    check_criterion("taylor", CLASSIFICATION)
    check_criterion("l1_norm", task_of(TaskConfig(loss="mse"), digits))
    with pytest.raises(UsageError, match=r"`criterion='taylor'`: it looks at cross-entropy, and the loss is mse; type"):
        check_criterion("taylor", task_of(TaskConfig(loss="mse"), digits))
