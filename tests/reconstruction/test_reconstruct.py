"""A small network whose removed channels say nothing of their own gives again what the large one gave."""

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import DataError, NetslimWarning, UsageError
from netslim.models import create_model
from netslim.own_loop.repair import repair_
from netslim.pruning import apply, plan
from netslim.reconstruction import reconstruct_
from netslim.reconstruction.side_by_side import SideBySide
from netslim.training.bn_statistics import recalibrate_
from reconstruction import networks
from reconstruction.networks import IMAGES


def pruned(model: nn.Module, images: Tensor, norms: tuple[str, ...] = ("bn1",)) -> nn.Module:
    """Without the copies."""
    return apply(model, plan(model, images[:1], percent=0.49, criterion="bn_scale", only=norms))


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


def test_groups_are_fitted_each_for_itself() -> None:
    """The copies are in the other group, so that not all is made up for."""
    torch.manual_seed(0)
    model = networks.with_copies(networks.Grouped())
    small = pruned(model, IMAGES)
    done = reconstruct_(small, model, IMAGES.split(16))
    assert small.conv2.groups == 2
    assert done.after < 0.7 * done.before


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


def test_a_branch_makes_up_for_what_the_shortcut_lost() -> None:
    """Of the stream's channels one goes; the others' part of it is in the sum, not in what the branch gives alone."""
    torch.manual_seed(0)
    model = networks.with_copies(networks.Residual(), ("bn1",))
    small = apply(model, plan(model, IMAGES[:1], percent=0.3, only=("bn2",)))
    assert small.conv4.out_channels == small.conv2.out_channels < 6  # type: ignore[union-attr]
    done = reconstruct_(small, model, IMAGES.split(16))
    assert done.after < done.before
    assert {fit.name for fit in done.layers if fit.after < fit.before} >= {"conv4", "fc"}


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


def test_layers_that_lack_nothing_keep_their_weights() -> None:
    torch.manual_seed(0)
    model = networks.with_copies(networks.Plain())
    small = pruned(model, IMAGES)
    done = reconstruct_(small, model, [IMAGES])
    assert torch.equal(small.conv1.weight, model.conv1.weight[:4])  # type: ignore[union-attr,index]
    assert done.layers[0].name == "conv1"
    assert done.layers[0].before == done.layers[0].after


class Tied(networks.Plain):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2 = nn.Conv2d(8, 6, 3, padding=1, bias=False)
        self.twin = nn.Conv2d(8, 6, 3, stride=2, bias=False)
        self.twin.weight = self.conv2.weight

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.fc(torch.relu(self.conv2(x)).mean((2, 3)) + torch.relu(self.twin(x)).mean((2, 3)))


def test_a_weight_of_two_layers_is_one_system_over_both() -> None:
    torch.manual_seed(0)
    model = networks.with_copies(Tied())
    small = pruned(model, IMAGES)
    done = reconstruct_(small, model, IMAGES.split(16))
    assert done.left == ()
    assert [fit.name for fit in done.layers] == ["conv1", "conv2", "fc"]
    assert small.twin.weight is small.conv2.weight
    assert done.after < 0.02 * done.before


def test_a_shared_layer_before_norms_of_its_own_is_fitted_to_what_it_gives_itself() -> None:
    """A constant that the first norm took up would be missing behind the second."""

    class Levels(networks.Plain):
        def __init__(self) -> None:
            super().__init__()
            self.conv2, self.bn3 = nn.Conv2d(8, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.bn1(self.conv1(x)))
            one, two = self.bn2(self.conv2(x)), self.bn3(self.conv2(x.flip(3) * 0.5))
            return self.fc((torch.relu(one) - torch.relu(two)).mean((2, 3)))

    torch.manual_seed(0)
    model = networks.with_copies(Levels())
    small = pruned(model, IMAGES)
    done = reconstruct_(small, model, IMAGES.split(16))
    assert torch.equal(small.bn2.running_mean, model.bn2.running_mean)  # type: ignore[union-attr,arg-type]
    assert done.after < 0.02 * done.before


def test_tied_layers_that_do_something_else_and_weights_that_are_computed_are_left() -> None:
    class Odd(Tied):
        def __init__(self) -> None:
            super().__init__()
            self.twin = Scaled(8, 6, 3, stride=2, bias=False)
            self.twin.weight = self.conv2.weight
            self.scaled = Scaled(6, 6, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.bn1(self.conv1(x)))
            y = torch.relu(self.conv2(x)).mean((2, 3)) + torch.relu(self.twin(x)).mean((2, 3))
            return self.fc(self.scaled(y[..., None, None]).flatten(1))

    class Scaled(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(2 * x)

    torch.manual_seed(0)
    model = networks.with_copies(Odd())
    done = reconstruct_(pruned(model, IMAGES), model, IMAGES.split(16))
    assert done.left == ("conv2", "twin", "scaled")
    assert str(done).startswith("1 of 2 layers fitted on 64 images, 3 left as they are: error of the outputs ")


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


class Projecting(networks.Residual):
    """A stage that begins with a shortcut of its own, whose layers are given their inputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.norm = nn.Conv2d(6, 6, 1, bias=False), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(input=x))))))
        y = self.bn4(self.conv4(torch.relu(self.bn3(self.conv3(x)))))
        y += self.norm(self.down(input=x))
        return self.fc(torch.relu(y).mean((2, 3)))


def test_both_layers_of_a_sum_are_fitted() -> None:
    torch.manual_seed(0)
    model = networks.with_copies(Projecting(), ("bn1",))
    small = apply(model, plan(model, IMAGES[:1], percent=0.3, only=("bn2",)))
    done = reconstruct_(small, model, IMAGES.split(16))
    assert {fit.name for fit in done.layers if fit.after < fit.before} >= {"conv3", "conv4", "down"}
    assert done.after < done.before


def test_outputs_that_can_not_be_compared_are_refused() -> None:
    class Chosen(networks.Plain):
        level = 0.0

        def features(self, x: Tensor) -> Tensor:
            return self.conv2(torch.relu(self.bn1(self.conv1(x)))).mean((2, 3))

        def forward(self, x: Tensor) -> Tensor:
            features = self.features(x)
            return self.fc(features[features[:, 0] > self.level])

    torch.manual_seed(0)
    model = networks.with_copies(networks.Plain())
    chosen = Chosen()
    chosen.bn2 = nn.Identity()
    chosen.load_state_dict(model.state_dict(), strict=False)
    chosen.level = float(chosen.eval().features(IMAGES)[:, 0].median())
    small = apply(chosen, plan(chosen, IMAGES[:4], percent=0.4, only=("bn1",)))
    images = [batch for batch in IMAGES.split(16) if len(small(batch)) != len(chosen(batch))]
    assert images
    own = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    with pytest.raises(UsageError, match="the networks give no outputs of one shape that the fitted layers could be"):
        reconstruct_(small, chosen, images)
    assert all(torch.equal(tensor, own[name]) for name, tensor in small.state_dict().items())


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


def test_every_turn_is_told_before_it_comes() -> None:
    torch.manual_seed(0)
    model, told = networks.with_copies(networks.Plain()), list[tuple[int, int]]()
    reconstruct_(pruned(model, IMAGES), model, [IMAGES], progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
