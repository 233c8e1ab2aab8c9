"""Images that judge and hold no numbers: what is said is not that the training went wrong."""

import math
from pathlib import Path

import pytest
import torch
from own_code import TRAIN, Run

from netslim.core.errors import CheckpointError, DataError
from netslim.core.plugins.references import UserObject
from netslim.data import open_user_data
from netslim.stages.train.broken_images import check_number
from netslim.stages.train.config import TrainConfig

BROKEN = """
def broken(part):
    parts = data()
    parts[part].tensors[0][[5, 9]] = math.nan
    return parts


def broken_val():
    return broken(1)


def broken_test():
    return broken(2)

"""
HELD = "netslim: error: the loss on the held-out images of mine.py:"


@pytest.fixture
def run_broken(run_own: Run) -> Run:
    """The command line in a folder with more data."""
    file = Path("mine.py")
    file.write_text(file.read_text() + BROKEN)
    return run_own


def test_held_out_images_that_hold_nan_are_not_called_a_training_that_diverged(run_broken: Run) -> None:
    done = run_broken(*TRAIN, "--dataset", "mine.py:broken_val", "--save", "run")
    assert (done.code, done.err) == (
        1,
        f"{HELD}broken_val is nan: 2 of 24 samples hold nan or inf, the first is number 5; mend or leave them out\n",
    )


def test_a_label_that_is_infinite_is_found_and_a_network_is_not_blamed_on_images() -> None:
    good = [(torch.zeros(1, 4, 4), torch.tensor(1.0)) for _ in range(4)]
    bad = [*good[:3], (good[0][0], torch.tensor(math.inf))]
    dataset = open_user_data(UserObject(field="dataset", reference="d.py:f", value=(good, bad, good)), {})
    assert dataset.val is not None
    config = TrainConfig(save=Path("run"))
    with pytest.raises(
        DataError, match=r"^the loss on the held-out images of d.py:f is inf: 1 of 4 samples hold nan or"
    ):
        check_number(math.inf, dataset.val, dataset, config, at_end=False)
    check_number(1.0, dataset.val, dataset, config, at_end=False)
    check_number(math.nan, dataset.test, dataset, config, at_end=False)  # the training says what it knows
    with pytest.raises(CheckpointError, match=r"test images of d.py:f is nan: its accuracy means nothing$"):
        check_number(math.nan, dataset.test, dataset, config, at_end=True)


def test_test_images_that_hold_nan_are_no_accuracy(run_broken: Run) -> None:
    given = (*TRAIN, "--save", "run", "--dataset")
    done = run_broken(*given, "mine.py:broken_test")
    assert (done.code, done.err) == (
        1,
        "netslim: error: run/model_best.pth.tar holds a network whose loss on the test images of mine.py:broken_test "
        "is nan: its accuracy means nothing (2 of 24 samples hold nan or inf, the first is number 5)\n",
    )


def test_test_images_that_choose_are_named(run_broken: Run) -> None:
    done = run_broken(*TRAIN, "--select-on", "test", "--dataset", "mine.py:broken_test", "--save", "run")
    assert done.code == 1
    assert done.err.startswith("netslim: error: the loss on the test images of mine.py:broken_test is nan: 2 of 24 ")
