import pytest
import torch
import torch.nn.functional as F

from netslim.core.errors import UserCodeError
from netslim.training.tasks.objective import Checked, Classification, MeanLoss

LOGITS, CLASSES = torch.tensor([[2.0, -1.0], [0.0, 1.0]], requires_grad=True), torch.tensor([0, 0])


def test_classification_sums_over_the_images_and_counts_those_that_are_right() -> None:
    loss, correct = Classification(0.1)(LOGITS, CLASSES, 2)
    assert loss == F.cross_entropy(LOGITS, CLASSES, reduction="sum", label_smoothing=0.1)
    assert int(correct) == 1


def test_a_mean_counts_for_each_image_and_outputs_reach_it_in_single_precision() -> None:
    seen = []

    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        seen.append(outputs.dtype)
        return outputs.mean()[None]

    found, correct = MeanLoss(loss, "l")(LOGITS.bfloat16(), CLASSES, 2)
    assert (float(found), float(correct), found.shape) == (pytest.approx(1.0), 0.0, torch.Size([]))
    assert seen == [torch.float32]


def test_without_gradients_a_loss_needs_none() -> None:
    with torch.no_grad():
        assert float(MeanLoss(F.cross_entropy, "l")(LOGITS.detach(), CLASSES, 2)[0]) > 0


def test_what_does_not_go_together_is_one_line_with_the_shapes() -> None:
    with pytest.raises(UserCodeError) as caught:
        Checked(MeanLoss(F.cross_entropy, "l"), "l")(LOGITS, torch.zeros(3).long(), 2)
    text = "loss l can't take outputs (2, 2) float32 and labels (3,) int64: ValueError: Expected"
    assert str(caught.value).startswith(text)
