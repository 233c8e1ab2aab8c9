"""A small network whose removed channels say nothing of their own gives again what the large one gave."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import DataError, NetslimWarning, UsageError
from netslim.models import create_model
from netslim.own_loop.repair import repair_
from netslim.pruning import absorb_, apply, plan
from netslim.reconstruction import reconstruct_
from netslim.reconstruction.side_by_side import SideBySide
from netslim.training.bn_statistics import recalibrate_
from reconstruction import networks
from reconstruction.networks import IMAGES, pruned


def difference(small: nn.Module, model: nn.Module, images: Tensor) -> float:
    with torch.no_grad():
        wanted = model(images)
        return float((small(images) - wanted).norm() / (wanted - wanted.mean(0)).norm())


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (networks.Plain, ("conv1", "bn1")),
        (networks.Residual, ("conv3", "bn3")),
        (networks.Transposed, ("conv1", "bn1")),
        (networks.Depthwise, ("conv1", "bn1", "deep", "bn3")),
        (networks.Sequences, ("conv1", "bn1")),
        (networks.TwiceUsed, ("conv1", "bn1")),
        (networks.Volumes, ("conv1", "bn1")),
        (networks.Flattened, ("conv1", "bn1")),
        (networks.Recurrent, ("conv1", "bn1")),
        (networks.StepsFirst, ("conv1", "bn1")),
    ],
)
def test_copies_are_made_up_for(kind: type[nn.Module], names: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    model = networks.with_copies(kind(), names)
    images = networks.images_for(kind)
    small = pruned(model, images, tuple(name for name in names if name.startswith("bn")))
    before = difference(small, model, images)
    done = reconstruct_(small, model, images.split(16))
    assert before > 0.02
    assert difference(small, model, images) < 0.02 * before
    assert done.after < 0.02 * done.before
    assert done.images == 64


def test_the_channel_selections_of_netslims_own_network_are_gone_through() -> None:
    torch.manual_seed(0)
    model = create_model("resnet", depth=11, num_classes=5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight)
    recalibrate_(model, [IMAGES])
    small = apply(model, plan(model, IMAGES[:1], percent=0.3))
    done = reconstruct_(small, model.eval(), IMAGES.split(16))
    assert done.left == ()
    assert {fit.name for fit in done.layers if fit.after < fit.before} >= {"layer1.0.conv2", "layer2.0.conv3", "fc"}
    assert all(fit.after <= fit.before for fit in done.layers)
    assert done.after < 0.7 * done.before


def test_the_result_is_the_same_every_time_and_modes_survive() -> None:
    torch.manual_seed(0)
    model = networks.with_copies(networks.Residual(), ("conv3", "bn3"))
    found = []
    for _ in range(2):
        small = pruned(model, IMAGES, ("bn3",)).train()
        reconstruct_(small, model, [(batch, None) for batch in IMAGES.split(16)])
        assert small.bn1.training
        assert not small._forward_hooks
        found.append(torch.cat([tensor.flatten().double() for tensor in small.state_dict().values()]))
    assert torch.equal(*found)


def test_a_network_that_would_be_worse_keeps_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers that each give more of the original's can give less together: here they are made to."""
    torch.manual_seed(0)
    model = networks.with_copies(networks.Plain())
    small = pruned(model, IMAGES)
    own = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    missed = iter([0.1, 0.2])
    monkeypatch.setattr(SideBySide, "_missed", lambda *_: next(missed))
    done = reconstruct_(small, model, IMAGES.split(16))
    assert done.before == done.after == 0.1
    assert all(fit.after == fit.before for fit in done.layers)
    assert all(torch.equal(tensor, own[name]) for name, tensor in small.state_dict().items())


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda small, model: (small, model, []), DataError, "0 images are too few to fit layers to: give at least 4"),
        (lambda small, model: (model, model, [IMAGES]), UsageError, "the small network was not pruned: give what"),
        (lambda small, model: (small, model, IMAGES), DataError, "this is one batch, and several are expected"),
        (
            lambda small, model: (small, model, [IMAGES[:, :2]]),
            UsageError,
            "Plain does not run on an input of 2 x 10 x",
        ),
        (lambda small, model: (small, model, [IMAGES / 0]), DataError, "what the networks make of these images is not"),
    ],
)
def test_what_can_not_be_done_is_said(change: object, error: type[Exception], text: str) -> None:
    torch.manual_seed(0)
    model = networks.with_copies(networks.Plain())
    small = pruned(model, IMAGES)
    own = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    with pytest.raises(error, match=text):
        reconstruct_(*change(small, model))  # type: ignore[operator]
    assert all(torch.equal(tensor, own[name]) for name, tensor in small.state_dict().items())


def test_weights_that_are_no_numbers_are_said_and_not_taken_for_training() -> None:
    torch.manual_seed(0)
    model = networks.with_copies(networks.Plain())
    model.fc.weight.data[0] = torch.nan  # type: ignore[union-attr,operator]
    with pytest.raises(DataError, match="what the networks make of these images is not finite: are the images, and"):
        reconstruct_(pruned(model, IMAGES), model, IMAGES.split(16))


def test_a_network_that_was_trained_since_is_refused_and_one_that_was_repaired_is_not() -> None:
    torch.manual_seed(0)
    model = networks.with_copies(networks.Plain())
    small = pruned(model, IMAGES)
    repair_(small, model, [IMAGES])
    reconstruct_(small, model, [IMAGES])
    with pytest.raises(UsageError, match=r"'conv2.weight' of the small network is not what pruning left of the large"):
        reconstruct_(small, model, [IMAGES])


def test_another_network_than_the_one_that_was_pruned_is_refused() -> None:
    torch.manual_seed(0)
    model, other = (networks.with_copies(networks.Plain()) for _ in range(2))
    with pytest.raises(UsageError, match=r"left of the large one's: give the network that netslim\.apply pruned"):
        reconstruct_(pruned(model, IMAGES), other, IMAGES.split(16))


def test_fewer_images_than_a_layer_has_inputs_make_nothing_worse() -> None:
    """The ridge holds back what they do not say; and training mode of either network changes nothing."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32))
    model[1].weight.data.uniform_(0.1, 1)
    x, other = torch.randn(12, 40), torch.randn(500, 40)
    recalibrate_(model, [other])
    found = []
    for training in (False, True):
        small = apply(model, plan(model, x[:1], percent=0.2))
        before = difference(small.eval(), model.eval(), other)
        done = reconstruct_(small.train(training), model.train(training), [x])
        assert done.after <= done.before
        assert difference(small.eval(), model.eval(), other) < 1.05 * before
        found.append(small[3].weight)  # type: ignore[index]
    assert torch.equal(*found)


def test_inputs_of_another_size_than_the_plans_are_said() -> None:
    torch.manual_seed(0)
    model = networks.with_copies(networks.Plain())
    larger = torch.randn(8, 3, 2 * IMAGES.shape[2], 2 * IMAGES.shape[3])
    with pytest.warns(NetslimWarning, match=r"fitted on inputs of 3 x \d+ x \d+, and the plan's example has 3 x "):
        reconstruct_(pruned(model, IMAGES), model, [larger])


def test_layers_that_give_more_than_a_tensor_are_left_as_they_are() -> None:
    class WithSize(nn.Conv2d):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x), x.shape[-1]

    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.bn, self.second = WithSize(3, 16, 3), nn.BatchNorm2d(16), WithSize(16, 8, 3)
            self.fc = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            y, _ = self.first(x)
            z, _ = self.second(self.bn(y).relu())
            found: Tensor = self.fc(z.mean((2, 3)))
            return found

    torch.manual_seed(0)
    model, images = Sized().eval(), torch.randn(64, 3, 8, 8)
    nn.init.uniform_(model.bn.weight)
    nn.init.normal_(model.bn.bias)
    small = apply(model, plan(model, images, percent=0.4))
    before = small.second.weight.clone()
    assert absorb_(small, model, images).after < 1e-5
    done = reconstruct_(small, model, [images])
    assert torch.equal(small.second.weight, before)
    assert done.after < done.before
