from typing import Any

import pytest
import torch

from metrics.measured import measured
from netslim.training.metrics.running import Gathered, MeanOverImages


def test_a_mean_over_images_counts_batches_by_their_images() -> None:
    batches = [(torch.zeros(3), torch.ones(3)), (torch.zeros(1), torch.full((1,), 5.0))]
    assert measured(MeanOverImages(lambda outputs, targets: (targets - outputs).mean()), batches) == 2
    assert measured(MeanOverImages(lambda outputs, targets: 7), batches) == 7


@pytest.mark.parametrize("value", [torch.zeros(2), torch.tensor(1j), "good", None, {"f1": 1}])
def test_what_is_not_one_number(value: object) -> None:
    with pytest.raises(TypeError, match="not one number"):
        MeanOverImages(lambda outputs, targets: value).update(0, 0, 1)


def test_what_gathers_gets_tensors_without_a_graph_also_inside_of_a_dict() -> None:
    class Seen:
        def __init__(self) -> None:
            self.batches: list[Any] = []

        def update(self, outputs: Any, targets: Any) -> None:
            self.batches.append((outputs, targets))

        def compute(self) -> torch.Tensor:
            return torch.tensor([float(len(self.batches))])

    seen = Seen()
    boxes = torch.ones(2, requires_grad=True) * 3
    assert measured(Gathered(seen), [({"boxes": boxes}, torch.zeros(2))] * 2) == 2  # type: ignore[list-item]
    outputs, targets = seen.batches[0]
    assert torch.equal(outputs["boxes"], torch.full((2,), 3.0))
    assert not outputs["boxes"].requires_grad
    assert torch.equal(targets, torch.zeros(2))
