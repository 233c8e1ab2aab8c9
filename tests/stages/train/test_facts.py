"""What files say of a training that was cut off, and how they are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError, NetslimError
from netslim.stages.train.facts import TrainingFacts, precision_of, training_facts
from netslim.training.precision import Precision

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
        ({"rng": torch.zeros(3)}, r"is no state of torch's generator \(torch.float32, \(3,\)\)"),
    ],
)
def test_a_file_that_does_not_say_where_it_stood_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(CheckpointError, match=f"^{FILE} does not say where its training stood: .*{field}"):
        facts(**given)


def test_a_recorded_precision_is_a_name_and_a_layout() -> None:
    assert precision_of(["bf16", True], Path("run")) == Precision("bf16", True)
    for recorded in (None, "bf16", ["bf16"], ["int4", False], ["bf16", 1]):
        with pytest.raises(NetslimError) as caught:
            precision_of(recorded, Path("run"))
        text = f"{Path('run/run.json')} can't be read (precision {recorded}); give another `save`"
        assert str(caught.value) == text
