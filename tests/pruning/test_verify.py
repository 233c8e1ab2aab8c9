"""The proof finds every wrong rebuild, and leaves both networks as they were."""

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.pruning import Agreement, apply, masked, plan, verify
from netslim.pruning.verify import OutputAgreement
from pruning.kinds import IMAGES as SOME
from pruning.kinds import Net, lively, pruned
from pruning.networks import EXAMPLE, edited, resnet, same, state_of

MODEL = resnet(20)


PLAN = plan(MODEL, EXAMPLE, percent=0.5)


torch.manual_seed(1)


IMAGES = torch.randn(4, 1, 8, 8)


def test_a_right_rebuild_holds() -> None:
    agreement = verify(MODEL, apply(MODEL, PLAN), IMAGES)
    assert agreement.holds
    (output,) = agreement.outputs
    assert output.name == "output"
    assert agreement.max_difference == output.difference <= 1e-5 * output.scale
    with torch.no_grad():
        assert output.scale == float(masked(MODEL, PLAN)(IMAGES).abs().max())


@pytest.mark.parametrize(
    "name", ["layer1.0.conv2.weight", "layer2.1.bn3.bias", "fc.weight", "layer3.0.bn2.running_mean"]
)
def test_one_wrong_number_is_found(name: str) -> None:
    small = apply(MODEL, PLAN)
    small.state_dict()[name].view(-1)[0] += 5
    agreement = verify(MODEL, small, IMAGES)
    assert not agreement.holds
    assert agreement.max_difference > 1e-4


def test_a_wrong_channel_of_the_right_width_is_found() -> None:
    small = apply(MODEL, PLAN)
    keep = list(PLAN.groups[0].keep)
    other = next(channel for channel in range(16) if channel not in keep)
    small.layer1[0].select.select(sorted([*keep[1:], other]))
    assert not verify(MODEL, small, IMAGES).holds


def test_the_rebuild_of_another_plan_is_found() -> None:
    small = apply(MODEL, PLAN)
    small.plan = edited(PLAN, keep=[15])
    assert not verify(MODEL, small, IMAGES).holds


def coarse(module: nn.Module, given: object, output: Tensor) -> Tensor:
    """In single precision few digits are right, and the others depend on the number of channels."""
    assert isinstance(module, nn.Conv2d)
    return output * (1 + 1e-2 / module.in_channels) if output.dtype == torch.float32 else output


def test_rounding_is_told_from_a_wrong_channel() -> None:
    model = resnet(20)
    small = apply(model, PLAN)
    for network in (model, small):
        network.layer2[0].conv2.register_forward_hook(coarse)
    with torch.no_grad():
        silent, given = masked(model, PLAN)(IMAGES), small(IMAGES)
    assert (silent - given).abs().max() > 1e-4 * silent.abs().max()
    assert verify(model, small, IMAGES).holds
    small.fc.weight.data += 1e-3
    assert not verify(model, small, IMAGES).holds


def test_rounding_is_told_from_a_wrong_channel_where_code_says_single_precision() -> None:
    model = resnet(20)
    small = apply(model, PLAN)
    for network in (model, small):
        network.layer2[0].conv2.register_forward_hook(coarse)
        network.layer1.register_forward_hook(lambda module, given, output: output.float() * torch.ones(1))
    assert verify(model, small, IMAGES).holds
    small.fc.weight.data += 1e-3
    assert not verify(model, small, IMAGES).holds


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_deep_network_on_cuda_is_proven_exact() -> None:
    model, images = resnet(164).cuda(), IMAGES.cuda()
    assert verify(model, apply(model, plan(model, images, percent=0.4)), images).holds


def test_numbers_that_are_none_do_not_hold() -> None:
    small = apply(MODEL, PLAN)
    small.fc.bias.data[0] = float("nan")
    assert not verify(MODEL, small, IMAGES).holds


def test_a_network_that_was_never_pruned_is_held_against_the_original_itself() -> None:
    agreement = verify(MODEL, MODEL, IMAGES)
    assert agreement.max_difference == 0
    assert agreement.holds
    assert not verify(MODEL, resnet(20, seed=3), IMAGES).holds


@pytest.mark.parametrize(
    ("difference", "scale", "holds"),
    [
        *((1e-5, 1, True), (1.1e-5, 1, False), (9e-4, 100, True), (2e-3, 100, False)),
        *((0.9e-11, 1e-6, True), (1.1e-11, 1e-6, False), (0.0, 0.0, True), (1e-30, 0.0, False)),
    ],
)
def test_the_tolerance_follows_each_output(difference: float, scale: float, holds: bool) -> None:
    own = OutputAgreement(name="a", difference=difference, scale=scale)
    other = OutputAgreement(name="b", difference=0.0, scale=1e6)
    assert Agreement(outputs=(own, other)).holds is holds
    assert Agreement(outputs=(own, other)).max_difference == difference


def test_both_networks_are_left_as_they_were() -> None:
    model, small = resnet(20).train(), apply(MODEL, PLAN).train()
    small.layer1.eval()
    before = state_of(model), state_of(small), [module.training for module in small.modules()]
    verify(model, small, IMAGES)
    assert same(model.state_dict(), before[0])
    assert same(small.state_dict(), before[1])
    assert all(module.training for module in model.modules())
    assert [module.training for module in small.modules()] == before[2]


def test_masking_silences_what_the_plan_removes_and_nothing_else() -> None:
    copied = masked(MODEL, PLAN)
    for group, part in zip(MODEL.channel_groups(), PLAN.groups, strict=True):
        mine, theirs = MODEL.get_submodule(group.name), copied.get_submodule(group.name)
        gone = [channel for channel in range(part.total) if channel not in part.keep]
        for name in ("weight", "bias"):
            values = getattr(theirs, name)
            assert (values[gone] == 0).all()
            assert torch.equal(values[list(part.keep)], getattr(mine, name)[list(part.keep)])
    assert copied.cfg == MODEL.cfg
    assert copied.plan is None


class Outputs(Net):
    """A large output and one that is a millionth of it, perhaps with numbers that are none."""

    def __init__(self, nan: bool = False) -> None:
        super().__init__()
        self.nan = nan

    def forward(self, x: torch.Tensor) -> dict[str, object]:
        y = super().forward(x)
        broken = y / y.new_zeros(()) * 0 if self.nan else y
        return {"large": y * 1e3, "list": [self.fc.bias * 1e-6, y * 1e-6], "broken": broken}


@pytest.mark.parametrize("name", ["large", "list.1"])
def test_each_output_is_held_against_its_own_size(name: str) -> None:
    model = lively(Outputs())
    small = pruned(model)
    assert verify(model, small, SOME).holds
    assert [output.name for output in verify(model, small, SOME).outputs] == ["large", "list.0", "list.1", "broken"]

    class Wrong(nn.Module):
        plan = small.plan

        def forward(self, x: torch.Tensor) -> dict[str, object]:
            found = small(x)
            if name == "large":
                found["large"] = found["large"] * 1.1
            else:
                found["list"][1] = found["list"][1] * 1.1
            return found

    agreement = verify(model, Wrong(), SOME)
    assert not agreement.agrees
    assert [output.name for output in agreement.outputs if output.relative > 1e-5] == [name]
    assert max(output.relative for output in agreement.outputs) == pytest.approx(0.1, rel=1e-3)


def test_numbers_that_are_none_in_both_networks_agree() -> None:
    model = lively(Outputs(nan=True))
    agreement = verify(model, pruned(model), SOME)
    assert agreement.agrees
    assert [output.difference for output in agreement.outputs] == [pytest.approx(0, abs=1e-2)] * 4


def test_a_network_that_is_dead_does_not_hold() -> None:
    model = lively(Net())
    small = pruned(model)
    for network in (model, small):
        with torch.no_grad():
            network.bn.weight.zero_()
    assert verify(model, small, SOME).holds  # the network before does not depend on its input either
    model = lively(Net())
    assert not verify(model, small, SOME).holds


def test_where_no_finite_number_comes_out_nothing_holds() -> None:
    model = lively(Net())
    small = pruned(model)
    for network in (model, small):
        with torch.no_grad():
            network.fc.bias.fill_(torch.nan)
    agreement = verify(model, small, SOME)
    assert agreement.agrees
    assert not agreement.holds


def written_to(_: nn.Module, given: tuple[torch.Tensor]) -> None:
    given[0].mul_(1.5).sub_(0.1)


def test_a_network_that_writes_to_its_input() -> None:
    model = lively(Net(maps=lambda s, y: y))
    model.register_forward_pre_hook(written_to)
    images = SOME.clone()
    assert verify(model, pruned(model, images), images).holds
    assert torch.equal(images, SOME)


def test_outputs_of_another_kind_are_refused() -> None:
    with pytest.raises(UsageError, match="the networks give different outputs: "):
        verify(lively(Net()), lively(Outputs()), SOME)
