from typing import Any

import pytest
import torch

from metrics.measured import measured
from netslim.core.errors import ArgumentError
from netslim.core.plugins.references import UserObject
from netslim.training.metrics.own import own_metric


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
