"""BatchNorm statistics measured anew: in closed form, as torch's own, and all or nothing."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import DataError
from netslim.training.bn_statistics import recalibrate_


def statistics(model: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def image(*values: float) -> Tensor:
    """One channel, one row: (len(values), 1, 1, 1)."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


def test_closed_form() -> None:
    """Batch means 2 and 10; unbiased variances 2 and 32: their plain averages, whatever was there before."""
    norm = nn.BatchNorm2d(1)
    nn.init.constant_(norm.running_mean, 77.0)
    nn.init.constant_(norm.running_var, 55.0)
    recalibrate_(norm, [image(1, 3), image(6, 14)])
    assert (norm.running_mean.item(), norm.running_var.item()) == (6.0, 17.0)
    assert norm.num_batches_tracked.item() == 2


def test_batches_of_different_sizes_count_alike() -> None:
    norm = nn.BatchNorm2d(1)
    recalibrate_(norm, [image(0, 0, 0, 0, 0, 0), image(3, 5)])
    assert norm.running_mean.item() == 2.0
    assert norm.running_var.item() == pytest.approx(1.0)


def test_a_layer_sees_what_the_recalibrated_layer_before_it_gives() -> None:
    """The second norm's input is the first one's output under batch statistics: mean its bias, variance its scale^2."""
    model = nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1))
    nn.init.constant_(model[0].weight, 3.0)
    nn.init.constant_(model[0].bias, 5.0)
    recalibrate_(model, [torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 9 + 4])
    assert model[1].running_mean.item() == pytest.approx(5.0, abs=1e-4)
    assert model[1].running_var.item() == pytest.approx(9.0, rel=1e-3)


def test_the_same_as_torchs_own_average() -> None:
    batches = list(torch.randn(3, 8, 2, 4, 4, generator=torch.Generator().manual_seed(1)))
    reference, norm = nn.BatchNorm2d(2, momentum=None).train(), nn.BatchNorm2d(2).eval()
    for batch in batches:
        reference(batch)
    recalibrate_(norm, iter(batches))
    assert all(torch.equal(value, statistics(reference)[name]) for name, value in statistics(norm).items())


def test_dropout_stays_off() -> None:
    model = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(1)).train()
    recalibrate_(model, [image(1, 3)])
    assert model[1].running_mean.item() == 2.0


def test_modes_momenta_weights_and_gradients_are_as_before() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, momentum=0.3), nn.BatchNorm2d(2, momentum=None))
    model.train()
    model[2].eval()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    recalibrate_(model, [image(1, 3)])
    assert [module.training for module in model] == [True, True, False]
    assert (model[1].momentum, model[2].momentum) == (0.3, None)
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(buffer.requires_grad for buffer in model.buffers())


def test_a_network_without_statistics_is_left_alone() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, track_running_stats=False), nn.GroupNorm(1, 1))
    recalibrate_(model.train(), [])
    assert model[1].training
    assert not list(model.buffers())


def test_no_batches() -> None:
    norm = nn.BatchNorm2d(1).train()
    norm(image(1, 3))
    before = statistics(norm)
    with pytest.raises(DataError, match=r"^there are no images to estimate BatchNorm statistics from$"):
        recalibrate_(norm, [])
    assert all(torch.equal(value, before[name]) for name, value in statistics(norm).items())
    assert (norm.training, norm.momentum) == (True, 0.1)


def test_batches_without_an_image_count_for_nothing() -> None:
    norm = nn.BatchNorm2d(1)
    recalibrate_(norm, [image(), image(1, 3), image()])
    assert (norm.running_mean.item(), norm.running_var.item(), norm.num_batches_tracked.item()) == (2.0, 2.0, 1)
    with pytest.raises(DataError, match=r"^there are no images to estimate BatchNorm statistics from$"):
        recalibrate_(norm, [image()])
    assert (norm.running_mean.item(), norm.num_batches_tracked.item()) == (2.0, 1)


def test_a_branch_for_training_alone_keeps_its_statistics() -> None:
    class Helped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.help = nn.BatchNorm2d(1), nn.BatchNorm2d(1)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x) + self.help(x) if self.training else self.norm(x)

    model = Helped().train()
    model(image(5, 9))
    before = statistics(model.help)
    recalibrate_(model, [image(1, 3)])
    assert model.norm.running_mean.item() == 2.0
    assert all(torch.equal(value, before[name]) for name, value in statistics(model.help).items())


def test_an_error_in_the_middle_leaves_the_old_statistics() -> None:
    def broken() -> Iterator[Tensor]:
        yield image(1, 3)
        raise InterruptedError

    model = nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1)).train()
    model(image(5, 9))
    before = statistics(model)
    with pytest.raises(InterruptedError):
        recalibrate_(model, broken())
    assert all(torch.equal(value, before[name]) for name, value in statistics(model).items())
    assert all(module.training for module in model.modules())


def test_the_networks_of_timm_keep_their_norms_and_activations_in_one_module() -> None:
    timm = pytest.importorskip("timm")
    norm = timm.layers.BatchNormAct2d(1).eval()
    recalibrate_(norm, [image(1, 3), image(6, 14)])
    assert (norm.running_mean.item(), norm.running_var.item()) == (6.0, 17.0)
    assert not norm.training
