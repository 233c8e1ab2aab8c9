"""Networks whose groups were derived: masked and rebuilt agree."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.core.protocols import plan_of
from netslim.pruning import apply, masked, plan, verify
from pruning import structures
from pruning.kinds import lively
from pruning.networks import randomised
from pruning.structures import SHAPE

STRUCTURES = [
    *("Residual", "Concatenated", "Grouped", "Squeezed", "Shuffled", "Flattened", "TwoHeads", "Shared", "Gated"),
    *("Scaled", "Attention", "FixedSplit", "Bright", "Padded", "Auxiliary"),
]


@pytest.mark.parametrize("percent", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("name", STRUCTURES)
def test_masked_and_rebuilt_agree(name: str, percent: float) -> None:
    torch.manual_seed(0)
    model = randomised(getattr(structures, name)())
    decided = plan(model, torch.zeros(SHAPE), percent=percent)
    small = apply(model, decided)
    assert verify(model, small, torch.randn(2, 3, 8, 8)).agrees
    assert decided.traced
    assert decided.kept < decided.total
    assert decided.after.params < decided.before.params
    assert netslim.measure(model, torch.zeros(SHAPE)) == decided.before
    assert netslim.measure(small, torch.zeros(SHAPE)) == decided.after
    outputs = small.train()(torch.randn(4, 3, 8, 8))
    sum(leaf.square().sum() for leaf in torch.utils._pytree.tree_leaves(outputs)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in small.parameters())


def test_masking_silences_everything_that_gives_a_channel() -> None:
    model = randomised(structures.Residual())
    decided = plan(model, torch.zeros(SHAPE), percent=0.5)
    silent = masked(model, decided)
    gone = sorted({0, 1, 2, 3} - set(decided.groups[0].keep))
    for name in ("stem", "bn0", "outer.0", "outer.1"):
        assert not silent.get_submodule(name).weight[gone].any()
    assert torch.equal(silent.fc.weight, model.fc.weight)
    assert torch.equal(silent.bn0.running_var, model.bn0.running_var)


def test_pruned_twice_is_one_plan_for_the_original() -> None:
    torch.manual_seed(1)
    model = randomised(structures.Squeezed())
    once = apply(model, plan(model, torch.zeros(SHAPE), percent=0.3))
    twice = apply(once, plan(once, torch.zeros(SHAPE), percent=0.6))
    assert [group.total for group in twice.plan.groups] == [6]
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(apply(model, twice.plan)(images), twice(images))
    assert verify(model, twice, images).agrees
    last = apply(model, plan(model, torch.zeros(SHAPE), percent=0.99))
    assert plan(last, torch.zeros(SHAPE), percent=0.5).kept == 1


def test_a_network_with_a_plan_of_its_own() -> None:
    model = structures.Residual()
    model.plan = "mine"  # type: ignore[assignment]
    decided = plan(model, torch.zeros(SHAPE), percent=0.5)
    small = apply(model, decided)
    assert small.plan == "mine"
    assert plan_of(small) == decided
    assert verify(model, small, torch.randn(SHAPE)).holds


def test_what_is_cut_in_inference_mode_can_be_trained() -> None:
    model = randomised(structures.Residual())
    with torch.inference_mode():
        small = apply(model, plan(model, torch.zeros(SHAPE), percent=0.5))
    small.train()(torch.randn(2, 3, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in small.parameters())


class Experts(nn.Module):
    """Each image goes to the one expert that its gate prefers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn, self.gate = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 3)
        self.experts = nn.ModuleList(nn.Conv2d(8, 4, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.stem(x)))
        best = self.gate(x.mean((2, 3))).argmax(1)
        found = x.new_zeros(len(x), 4, *x.shape[2:])
        for number, expert in enumerate(self.experts):
            if (best == number).any():
                found[best == number] = expert(x[best == number])
        return found


def test_experts_that_got_no_image_are_followed_too() -> None:
    model, images = lively(Experts()), torch.randn(2, 3, 6, 6)
    small = apply(model, plan(model, images, percent=0.4))
    assert verify(model, small, torch.randn(9, 3, 6, 6)).holds
    assert {expert.in_channels for expert in small.experts} == {small.stem.out_channels}
    assert small.stem.out_channels < 8
