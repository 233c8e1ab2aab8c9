"""Each layer is fitted when its turn comes: of a branch, of weights that several layers share, of groups."""

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.pruning import apply, plan
from netslim.reconstruction import reconstruct_
from reconstruction import networks
from reconstruction.networks import IMAGES, pruned


def test_groups_are_fitted_each_for_itself() -> None:
    """The copies are in the other group, so that not all is made up for."""
    torch.manual_seed(0)
    model = networks.with_copies(networks.Grouped())
    small = pruned(model, IMAGES)
    done = reconstruct_(small, model, IMAGES.split(16))
    assert small.conv2.groups == 2
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
    assert str(done).startswith(
        "1 of 5 layers fitted on 64 images, 1 tried without gain, 3 of a kind that can't be fitted: error "
    )


def test_layers_on_a_vector_and_numbers_made_for_a_call_are_left() -> None:
    class Made(networks.Plain):
        def __init__(self) -> None:
            super().__init__()
            self.code, self.make = nn.Parameter(torch.ones(6)), nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.bn1(self.conv1(x)))
            own = {name: 2 * value for name, value in self.conv2.named_parameters()}
            x = torch.func.functional_call(self.conv2, own, (x,))
            return self.fc(torch.relu(self.bn2(x)).mean((2, 3)) * self.make(self.code))

    torch.manual_seed(0)
    model = networks.with_copies(Made())
    small = pruned(model, IMAGES)
    before = small.conv2.weight.clone()  # type: ignore[union-attr,operator]
    done = reconstruct_(small, model, IMAGES.split(16))
    assert done.left == ("conv2", "make")
    assert torch.equal(small.conv2.weight, before)  # type: ignore[arg-type]
    assert done.after < done.before


def test_what_a_network_notes_of_one_batch_is_not_read_by_another() -> None:
    class Skips(networks.Plain):
        def __init__(self) -> None:
            super().__init__()
            self.conv3 = nn.Conv2d(14, 6, 1)

        def forward(self, x: Tensor) -> Tensor:
            skip = torch.relu(self.bn1(self.conv1(x)))
            return self.last(skip, torch.relu(self.bn2(self.conv2(skip))))

        def last(self, skip: Tensor, x: Tensor) -> Tensor:
            return self.fc(torch.relu(self.conv3(torch.cat([skip, x], 1))).mean((2, 3)))

    class Notes(Skips):
        skip: Tensor

        def forward(self, x: Tensor) -> Tensor:
            self.skip = torch.relu(self.bn1(self.conv1(x)))
            x = torch.relu(self.bn2(self.conv2(self.skip)))
            return self.last(self.skip, x)

    found = []
    for kind in (Skips, Notes):
        torch.manual_seed(0)
        model = networks.with_copies(kind())
        small = pruned(model, IMAGES)
        found.append((reconstruct_(small, model, IMAGES.split(16)), small.state_dict()))
    (plain, right), (noting, fitted) = found
    assert noting == plain
    torch.testing.assert_close(fitted, right)


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


def test_outputs_that_are_no_numbers_are_borne() -> None:
    class Masked(networks.Plain):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
            found = super().forward(x)
            return found, found > 0, found.argmax(1)

    torch.manual_seed(0)
    model = Masked()
    model.load_state_dict(networks.with_copies(networks.Plain()).state_dict())
    small = apply(model.eval(), plan(model, IMAGES[:4], percent=0.4, only=("bn1",)))
    done = reconstruct_(small, model, IMAGES.split(16))
    assert done.after < done.before


def test_every_turn_is_told_before_it_comes() -> None:
    torch.manual_seed(0)
    model, told = networks.with_copies(networks.Plain()), list[tuple[int, int]]()
    reconstruct_(pruned(model, IMAGES), model, [IMAGES], progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
