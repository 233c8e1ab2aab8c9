"""What files say of a training that was cut off, and how they are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError, NetslimError
from netslim.data.resident import BatchCounts
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.facts import ANEW, TrainingFacts, check_state, precision_of, training_facts
from netslim.stages.train.files import BEST
from netslim.training.loop import TrainState
from netslim.training.precision import Precision
from netslim.training.tasks.task import CLASSIFICATION

FILE = Path("run/checkpoint.pth.tar")


def facts(**given: Any) -> TrainingFacts:
    plain = {"batch": 3, "loss_sum": 1.5, "correct": 4, "images": 24, "best_epoch": 0, "objective": 0.5}
    training = {**plain, "rng": torch.get_rng_state(), **given}
    return training_facts(Checkpoint(state_dict={}, training=training), FILE)


def test_what_a_file_says_comes_back_as_typed_values() -> None:
    found = facts()
    assert (found.batch, found.loss_sum, found.correct, found.images) == (3, 1.5, 4, 24)
    assert found.rng is not None
    torch.set_rng_state(found.rng)
    assert facts(rng=None).rng is None
    assert facts().scaler == {}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"batch": -1}, "batch"),
        ({"correct": "4"}, "correct"),
        ({"loss_sum": float("nan")}, "loss_sum"),
        ({"objective": float("nan")}, "objective"),
        ({"objective": float("-inf")}, "objective"),
        ({"rng": torch.zeros(3)}, r"is no state of torch's generator \(torch.float32, \(3,\)\)"),
    ],
)
def test_a_file_that_does_not_say_where_it_stood_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(CheckpointError, match=f"^{FILE} does not say where its training stood: .*{field}"):
        facts(**given)


class Counted(BatchCounts):
    """20 images in batches of 8."""

    def __init__(self) -> None:
        super().__init__(20, 8)

    def epoch(self, epoch: int, start: int = 0) -> Any:
        raise NotImplementedError


def check(folder: Path, **given: Any) -> None:
    state = TrainState(**{"epoch": 1, "batch": 2, "images": 16, "correct": 5, "best": 0.5, "best_epoch": 1, **given})
    config = TrainConfig(epochs=3, batch_size=8, save=folder)
    check_state(state, folder / "checkpoint.pth.tar", config, Counted(), CLASSIFICATION)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"batch": 3, "images": 20},
        {"epoch": 3, "batch": 0, "images": 0, "correct": 0},
        {"epoch": 0, "best_epoch": 0, "best": 0.0},
    ],
)
def test_counters_to_which_a_run_can_come_are_taken(given: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / BEST).touch()
    check(tmp_path, **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epoch": 10**12}, "1,000,000,000,000 finished epochs of 3"),
        ({"epoch": 3}, "2 finished batches of 0"),
        ({"epoch": 0}, "epoch 1 as the best of 0"),
        ({"best_epoch": 0}, "epoch 0 as the best of 1"),
        ({"best_epoch": 2}, "epoch 2 as the best of 1"),
        ({"batch": 4, "images": 20}, "4 finished batches of 3"),
        ({"batch": 0}, "16 images in 0 batches"),
        ({"images": 0, "correct": 0}, "0 images in 2 batches"),
        ({"images": 21}, "21 images in 2 batches"),
        ({"correct": 17}, "17 right answers of 16"),
        ({"best": 1e300}, r"1e\+300 as the best top-1"),
        ({"best": -0.5}, "-0.5 as the best top-1"),
    ],
)
def test_counters_to_which_no_run_can_come_are_refused(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / BEST).touch()
    with pytest.raises(CheckpointError, match=f"says {said}, to which its run can't have come; {ANEW}$"):
        check(tmp_path, **given)


def test_a_best_epoch_has_a_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"says epoch 1 as the best, and there is no {BEST}, to which"):
        check(tmp_path)


def test_a_recorded_precision_is_a_name_and_a_layout() -> None:
    assert precision_of(["bf16", True], Path("run")) == Precision("bf16", True)
    for recorded in (None, "bf16", ["bf16"], ["int4", False], ["bf16", 1]):
        with pytest.raises(NetslimError) as caught:
            precision_of(recorded, Path("run"))
        text = f"{Path('run/run.json')} can't be read (precision {recorded}); give another `save`"
        assert str(caught.value) == text
