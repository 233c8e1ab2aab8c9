"""What layers can spare: curves in closed form, a layer that nothing reads goes first, and what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import ArgumentError, DataError, UsageError
from netslim.pruning import apply, plan
from netslim.pruning.budget.sensitivity import IMAGES, curve
from netslim.pruning.plan_data import plan_from_dict
from pruning.networks import resnet, same, state_of


class TwoBranches(nn.Module):
    """Two convolutions side by side, of which the second counts a hundredth."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.loud, self.quiet = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3)
        self.first, self.second = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.head, self.tail = nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (N, 4)."""
        loud, quiet = self.first(self.loud(x)).relu(), self.second(self.quiet(x)).relu()
        return self.head(loud.mean((2, 3))) + 0.01 * self.tail(quiet.mean((2, 3)))


MODEL = TwoBranches()
IMAGES_8 = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def decided(batches: Any = (IMAGES_8,), model: nn.Module = MODEL, **given: Any) -> Any:
    budget = given or {"target_macs": 0.6}
    return plan(model, IMAGES_8, criterion="l2_norm", allocation="sensitivity", batches=batches, **budget)


@pytest.mark.parametrize("places", [(3,), (3, 6), (3, 6, 9)])
def test_a_curve_goes_through_its_points(places: tuple[int, ...]) -> None:
    losses = curve([(place, 0.01 * place**2) for place in places], 10).cumsum(0)  # a square
    assert losses.tolist() == pytest.approx([0.01 * gone**2 for gone in range(1, 11)], rel=1e-4)


def test_between_points_and_beyond_each_piece_has_its_own_power() -> None:
    losses = curve([(2, 0.1), (4, 0.4), (8, 3.2)], 16).cumsum(0)  # a square, then a cube
    assert losses[[1, 2, 3, 5, 7, 15]].tolist() == pytest.approx(
        [0.1, 0.1 * 1.5**2, 0.4, 0.4 * 1.5**3, 3.2, 3.2 * 2**3], rel=1e-4
    )


def test_channels_that_cost_less_and_less_go_together_at_their_mean() -> None:
    steps = curve([(2, 0.8), (4, 0.9), (8, 1.0)], 8)
    assert steps.tolist() == pytest.approx([1.0 / 8] * 8, rel=1e-4)


CURVES: list[list[tuple[int, float]]] = [
    *([], [(1, 0.0)], [(1, 0.5)], [(3, 0.0), (6, 0.0)], [(3, 0.5), (6, 0.1)]),
    *([(3, 0.1), (6, 0.2), (8, 0.2)], [(1, 0.3), (2, 0.1), (3, 0.2)]),
]


@pytest.mark.parametrize("points", CURVES)
def test_every_further_channel_costs_more(points: list[tuple[int, float]]) -> None:
    losses = curve(points, 10)
    assert losses.shape == (10,)
    assert bool((losses > 0).all())
    assert not points or bool((losses.diff() > 0).all())


@pytest.mark.parametrize("budget", [{"target_macs": 0.6}, {"target_params": 0.6}, {"percent": 0.4}])
def test_channels_go_where_the_outputs_lose_least(budget: dict[str, float]) -> None:
    kept = {part.name: len(part.keep) for part in decided(**budget).groups}
    assert kept["first"] == 8
    assert kept["second"] < 4


def test_which_channels_of_a_layer_go_is_said_by_the_criterion() -> None:
    found = {part.name: part.keep for part in decided().groups}
    norms = MODEL.quiet.weight.detach().square().mean((1, 2, 3))
    best = norms.argsort(descending=True, stable=True)[: len(found["second"])]
    assert sorted(best.tolist()) == [*found["second"]]


def test_a_measurement_changes_nothing_and_repeats() -> None:
    model, images = resnet(), torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    before = state_of(model)
    plans = [
        plan(model, images, target_macs=0.5, allocation="sensitivity", batches=each)
        for each in ([images], [(images, torch.zeros(4))])
    ]
    assert plans[0] == plans[1]
    assert same(state_of(model), before)
    assert plans[0].after.macs == pytest.approx(0.5 * plans[0].before.macs, rel=0.01)
    apply(model, plans[0])


class Viewing(nn.Module):
    """Makes a view that only images in the usual layout allow."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
        self.fc = nn.Linear(8 * 4 * 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        return self.fc(features.view(len(features), -1))


def test_a_network_that_bears_one_layout_alone() -> None:
    torch.manual_seed(0)
    model = Viewing().eval()
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        model(IMAGES_8.contiguous(memory_format=torch.channels_last))
    given = {"target_macs": 0.6, "criterion": "l2_norm", "allocation": "sensitivity", "batches": [IMAGES_8]}
    assert apply(model, plan(model, IMAGES_8, **given)).fc.out_features == 3


def test_progress_is_told_of_every_run_and_few_images_are_looked_at() -> None:
    told, batch = list[tuple[int, int]](), torch.randn(IMAGES, 3, 8, 8)
    plan(
        MODEL,
        IMAGES_8,
        target_macs=0.6,
        criterion="l2_norm",
        allocation="sensitivity",
        batches=[batch, batch],
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 6) for done in range(7)]


def test_images_that_are_read_once_do_for_criterion_and_allocation() -> None:
    batches = iter([(IMAGES_8, torch.zeros(8, dtype=torch.int64))])
    found = plan(MODEL, IMAGES_8, target_macs=0.6, criterion="taylor", allocation="sensitivity", batches=batches)
    assert len(found.groups) == 2


def test_a_plan_says_what_decided_how_many_of_each_layer_go() -> None:
    found = decided()
    assert found.to_dict()["allocation"] == "sensitivity"
    assert plan_from_dict(found.to_dict()).allocation == "sensitivity"
    usual = plan(MODEL, IMAGES_8, target_macs=0.6)
    assert "allocation" not in usual.to_dict()
    assert plan_from_dict(usual.to_dict()).allocation == "scores"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"allocation": "best"}, "`allocation='best'`: type scores or sensitivity"),
        ({"per_layer": True}, "`per_layer=True` takes the same share of every layer, `allocation='sensitivity'` "),
        ({"batches": None}, "`allocation='sensitivity'` needs images, without labels: pass plan(..., batches=...), or"),
    ],
)
def test_settings_that_do_not_go_together(given: dict[str, Any], message: str) -> None:
    settings = {"allocation": "sensitivity", "batches": [IMAGES_8], **given}
    with pytest.raises(UsageError) as error:
        plan(MODEL, IMAGES_8, target_macs=0.6, criterion="l2_norm", **settings)
    assert str(error.value).startswith(message)
    assert isinstance(error.value, ArgumentError) == ("allocation" in given)


@pytest.mark.parametrize("batches", [[], [IMAGES_8[:1]]])
def test_too_few_images(batches: list[Tensor]) -> None:
    with pytest.raises(DataError, match="needs batches of two images or more, and there are none"):
        decided(batches)


def test_images_that_are_not_finite() -> None:
    with pytest.raises(DataError, match="what the network makes of these images is not finite"):
        decided([IMAGES_8 * float("nan")])


def test_one_batch_instead_of_several() -> None:
    with pytest.raises(DataError, match=r"this is one batch, and several are expected: give \[batch\]"):
        decided(IMAGES_8)


def test_what_holds_no_batches() -> None:
    with pytest.raises(DataError, match="batches are a DataLoader or a list of them, and this is of type int"):
        decided(3)


class Counting(TwoBranches):
    """Gives numbers that can't be compared."""

    def forward(self, x: Tensor) -> Tensor:
        """Classes (N,)."""
        return super().forward(x).argmax(1)


def test_outputs_without_numbers() -> None:
    with pytest.raises(UsageError, match="those of this network have no numbers or change their shapes; type"):
        decided(model=Counting())
