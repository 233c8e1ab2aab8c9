"""Settings of a training."""

import pytest

from netslim.core.errors import UsageError
from netslim.stages.train.config import TrainConfig


def test_a_training_without_further_words_is_the_guides() -> None:
    config = TrainConfig()
    assert (config.epochs, config.lr, config.arch) == (160, 0.1, "resnet")
    assert (config.schedule, config.momentum, config.weight_decay, config.s) == ("step", 0.9, 1e-4, 1e-4)
    assert (config.sparsity_regularization, config.penalty, config.select_on) == (False, "l1", "val")


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [
        ("lr", 0.0, "greater than 0"),
        ("s", -1.0, "greater than or equal to 0"),
        ("momentum", 1.0, "less than 1"),
        ("epochs", 0, "greater than or equal to 1"),
    ],
)
def test_a_number_that_trains_nothing_is_refused(name: str, value: float, bound: str) -> None:
    with pytest.raises(UsageError) as caught:
        TrainConfig.build({name: value})
    assert str(caught.value) == f"`{name}={value}`: input should be {bound}"


def test_a_run_that_was_recorded_before_there_were_tasks_had_the_usual_one() -> None:
    usual = {"arch_args": [], "loss": "cross_entropy", "metric": "accuracy", "optimizer": "sgd"}
    assert usual.items() <= TrainConfig.option_defaults().items()
