"""Two networks that are equal but for rounding decide alike if one follows the other; what differs more is seen."""

import pytest
import torch
import torchvision
from torch import Tensor

from netslim.core.errors import UsageError
from netslim.core.networks.replay import Found, Supposition, recording, replaying

SCORES = torch.tensor([0.5, 0.9, 0.9, 0.1])
BOXES = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4], [9, 9, 12, 12], [0, 0, 1, 1]])


def detect(scores: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, list[float]]:
    """The best boxes, in order, as detectors do it, and how many there are of each size."""
    keep = scores >= 0.5
    scores, boxes = scores[keep], boxes[torch.where(keep)[0]]
    scores, order = scores.topk(min(3, len(scores)))
    kept = torchvision.ops.nms(boxes[order], scores, 0.5)
    return scores[kept], boxes[order][kept], torch.unique((boxes[:, 2] - boxes[:, 0]).floor()).tolist()


def test_a_hair_apart_decides_otherwise_but_for_a_replay() -> None:
    nudged = SCORES + torch.tensor([-1e-6, -1e-6, 1e-6, 0])
    with recording([SCORES, BOXES]) as decisions:
        scores, boxes, sizes = detect(SCORES, BOXES)
    assert not torch.equal(detect(nudged, BOXES)[1], boxes)
    with replaying([nudged, BOXES], decisions) as replayer:
        found, same, again = detect(nudged, BOXES)
    assert torch.equal(same, boxes)
    assert sizes == again == [3, 4]
    assert found.tolist() == pytest.approx(scores.tolist(), abs=2e-6)
    assert max(float((first - second).abs().max()) for first, second in replayer.pairs.values()) < 3e-6


def test_what_decisions_are_taken_on_shows_what_differs() -> None:
    with recording([SCORES, BOXES]) as decisions:
        detect(SCORES, BOXES)
    higher = SCORES + 0.3
    with replaying([higher, BOXES], decisions) as replayer:
        detect(higher, BOXES)
    first, second = replayer.pairs["what decision 1 (ge) is taken on"]
    assert (second - first).tolist() == pytest.approx([0.3] * 4)


def test_another_order_of_decisions_is_refused() -> None:
    with recording([SCORES]) as decisions:
        SCORES.sort()
    refused = pytest.raises(UsageError, match=r"the networks part ways: one decides by values \(topk\)")
    with refused, replaying([SCORES], decisions):
        SCORES.topk(2)


def test_constants_decide_nothing() -> None:
    with recording([SCORES]) as decisions:
        assert bool(torch.ones(3).sum() > 2)
        BOXES[BOXES > 1].sort()
    assert not decisions.taken


def test_values_written_into_a_constant_make_it_one_no_more() -> None:
    with recording([SCORES]) as decisions:
        room = torch.zeros(2, 4)
        room[1].copy_(SCORES)
        assert int(room.max() > 0.5) == 1
    assert [(own.name, own.steers) for own in decisions.taken] == [("gt", False), ("_local_scalar_dense", True)]


@pytest.mark.parametrize(
    ("found", "threshold", "count"),
    [("nothing", 0.5, 0), ("one", 2.0, 1), ("one", 0.5, 3), ("everything", 0.5, 4)],
)
def test_masks_that_are_supposed_to_choose(found: Found, threshold: float, count: int) -> None:
    with recording([SCORES], Supposition(found=found)) as decisions:
        mask = SCORES.ge(threshold)
        assert len(SCORES[mask]) == len(mask.nonzero()) == count
    assert len(decisions.steering) == 2


def test_truth_that_is_supposed() -> None:
    with recording([SCORES], Supposition(answers={1: False})):
        assert not SCORES.sum() > 0
    assert SCORES.sum() > 0
