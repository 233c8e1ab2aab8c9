"""What newcomers get wrong with the public API: one clear error each, which says what to give instead."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import netslim
from netslim.core.errors import DataError, NetslimError, NetslimWarning, UsageError

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1])


def network() -> nn.Sequential:
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)),
    )
    if not model[1].weight.is_meta:
        for norm in (model[1], model[4]):
            norm.weight.data.copy_(torch.linspace(0.1, 1, norm.num_features))
    return model


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return network()


MODEL = network()
PLAN = netslim.plan(MODEL, IMAGES, percent=0.5)
SMALL = netslim.apply(MODEL, PLAN)


class Silent(nn.Module):
    """Returns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, x: Tensor) -> None:
        self.inner(x)


def plan(**settings: Any) -> netslim.PrunePlan:
    return netslim.plan(MODEL, IMAGES, **settings)


def taylor(*batches: Any) -> netslim.PrunePlan:
    return plan(percent=0.5, criterion="taylor", batches=batches)


def repair(batches: Any, model: nn.Module = MODEL) -> Any:
    return netslim.repair_(copy.deepcopy(SMALL), model, batches)


def carry(optimizer: Any, model: nn.Module = MODEL) -> Any:
    return netslim.carry(optimizer, model, SMALL)


def after_step(size: Any) -> None:
    model = network()
    penalty = netslim.penalty(model, "proximal", strength=1)
    model(IMAGES).sum().backward()
    penalty.before_step_()
    penalty.after_step_(size)


def penalty(**settings: Any) -> Any:
    return netslim.penalty(network(), **{"strength": 1e-4, **settings})


def gone_a_step(**settings: Any) -> None:
    model = network()
    penalty = netslim.penalty(model, strength=1e-4, **settings)
    model(IMAGES).sum().backward()
    penalty.before_step_()


SHARE = r"give a share between 0 and 1 for each round, like \(0\.2, 0\.4\)$"
NO_RUN = r"does not run on an input of .*: RuntimeError: "

WRONG: dict[str, tuple[Callable[[], Any], type[NetslimError], str]] = {
    "no network": (
        lambda: netslim.plan("resnet", IMAGES, percent=0.5),
        UsageError,
        "a torch.nn.Module, .* of type str$",
    ),
    "a class": (
        lambda: netslim.plan(nn.ReLU, IMAGES, percent=0.5),
        UsageError,
        r"a class of networks: .* ReLU\(...\)$",
    ),
    "weights alone": (lambda: netslim.apply(MODEL.state_dict(), PLAN), UsageError, r"network\.load_state_dict\(...\)"),
    "a share as text": (
        lambda: plan(percent="50%"),
        UsageError,
        "^`percent='50%'`: the share .* is a number; type 0.5",
    ),
    "a target as list": (lambda: plan(target_macs=[0.5]), UsageError, r"^`target_macs=\[0\.5\]`: what should remain"),
    "half a channel": (lambda: plan(percent=0.5, min_channels=0.5), UsageError, "^`min_channels=0.5`: a whole number"),
    "a float multiple": (
        lambda: plan(percent=0.5, round_to=8.0),
        UsageError,
        "^`round_to=8.0`: a whole number, like 8",
    ),
    "a layer ignored": (lambda: plan(percent=0.5, ignore=[MODEL[0]]), UsageError, "patterns are names .* type Conv2d$"),
    "no criterion": (lambda: plan(percent=0.5, criterion=None), UsageError, r"unknown criterion 'None' \(known: bn_"),
    "taylor, no labels": (
        lambda: taylor(IMAGES),
        DataError,
        r"\(images, labels\), two tensors, and one is of type Tensor",
    ),
    "taylor, classes": (lambda: taylor((IMAGES, LABELS + 3)), DataError, "labels go up to 4, .* the classes 0 to 3$"),
    "taylor, floats": (lambda: taylor((IMAGES, LABELS / 2)), DataError, r"\(2,\), torch.float32: give a class number"),
    "taylor, images": (lambda: taylor((IMAGES[:, :1], LABELS)), UsageError, NO_RUN),
    "a share as plan": (
        lambda: netslim.apply(MODEL, 0.5),
        UsageError,
        r"what netslim\.plan\(\) returned, .* type float$",
    ),
    "a plan as data": (lambda: netslim.apply(MODEL, PLAN.to_dict()), UsageError, r"type dict; .*plan_from_dict\(...\)"),
    "no outputs": (
        lambda: netslim.apply(Silent(), netslim.plan(Silent(), IMAGES, percent=0.5)),
        UsageError,
        "no tensor to compare: let `forward` return what the network computes$",
    ),
    "verify, order": (
        lambda: netslim.verify(SMALL, MODEL, IMAGES),
        UsageError,
        r"order is verify\(model, small, images\)",
    ),
    "verify, images": (lambda: netslim.verify(MODEL, SMALL, IMAGES[:, :1]), UsageError, NO_RUN),
    "verify, precision": (lambda: netslim.verify(MODEL, SMALL, IMAGES.half()), UsageError, NO_RUN),
    "measure, images": (
        lambda: netslim.measure(MODEL, IMAGES[:, :1]),
        UsageError,
        "does not run on an example of 2 x 1",
    ),
    "repair, no loader": (lambda: repair(None), DataError, "a DataLoader or a list .* of type NoneType$"),
    "repair, one batch": (
        lambda: repair(IMAGES),
        DataError,
        r"one batch, and several are expected: give \[batch\], or a",
    ),
    "repair, a data set": (lambda: repair(TensorDataset(IMAGES, LABELS)), UsageError, NO_RUN),
    "repair, precision": (lambda: repair([IMAGES.half()]), UsageError, NO_RUN),
    "repair, nothing": (lambda: repair([]), UsageError, "give `example` or a batch, or `absorb=False`$"),
    "repair, NaN": (lambda: repair([IMAGES * torch.nan]), DataError, "that are NaN or infinite: are the inputs finite"),
    "repair, on meta": (
        lambda: netslim.repair_(netslim.apply(meta := on_meta(), PLAN), meta, [IMAGES]),
        UsageError,
        "Sequential is on the meta device: load its weights, then repair them$",
    ),
    "absorb, images": (lambda: netslim.absorb_(copy.deepcopy(SMALL), MODEL, IMAGES[:, :1]), UsageError, NO_RUN),
    "carry, order": (
        lambda: carry(MODEL),
        UsageError,
        r"type Sequential: the order is carry\(optimizer, model, small\)$",
    ),
    "carry, a class": (
        lambda: carry(torch.optim.SGD),
        UsageError,
        "an optimizer is a torch.optim.Optimizer, .* type type",
    ),
    "carry, another's": (
        lambda: carry(torch.optim.SGD(network().parameters())),
        UsageError,
        "has no parameter of the network before: give the one that trains it, once$",
    ),
    "one share": (lambda: netslim.iterative(MODEL, IMAGES, 0.2), UsageError, f"^schedule 0.2: {SHARE}"),
    "shares as text": (lambda: netslim.iterative(MODEL, IMAGES, "0.2"), UsageError, f"^schedule '0.2': {SHARE}"),
    "a tensor of shares": (lambda: netslim.iterative(MODEL, IMAGES, torch.tensor([0.2])), UsageError, SHARE),
    "unknown setting": (
        lambda: netslim.iterative(MODEL, IMAGES, (0.2,), criterium="taylor"),
        UsageError,
        r"^unknown setting of plan\(\) 'criterium'; did you mean criterion\?",
    ),
    "a strength as text": (
        lambda: penalty(strength="1e-4"),
        UsageError,
        "^strength '1e-4': a penalty has a finite one",
    ),
    "a strength as name": (lambda: penalty(name=1e-4), UsageError, "^unknown penalty '0.0001'"),
    "an optimizer's class": (
        lambda: penalty(optimizer=torch.optim.SGD),
        UsageError,
        "^optimizer of type type: give the",
    ),
    "a negative warm-up": (lambda: penalty(warmup=-1), UsageError, "^warmup -1: .* give 0 or more$"),
    "weights, a list": (lambda: penalty(weights=[1.0]), UsageError, "^weights of type list: give {name of a BatchNorm"),
    "weights, a number": (lambda: penalty(weights={"1": 2.0}), UsageError, "are of type float: give a tensor of its 8"),
    "weights, their number": (lambda: penalty(weights={"1": torch.ones(7)}), UsageError, r"are of shape \(7,\): give"),
    "no scales": (
        lambda: netslim.penalty(nn.Conv2d(3, 8, 3), strength=1),
        UsageError,
        "Conv2d has no BatchNorm, .*l2_norm",
    ),
    "lazy scales": (
        lambda: netslim.penalty(nn.LazyBatchNorm2d(), strength=1),
        UsageError,
        "run the network once on an",
    ),
    "epochs that are done": (
        lambda: penalty().advance(done=3, epochs=2),
        UsageError,
        r"^advance\(done=3, epochs=2\): give",
    ),
    "no gradients": (lambda: penalty().before_step_(), UsageError, r"comes after loss\.backward\(\)"),
    "a step back": (
        lambda: after_step(-0.1),
        UsageError,
        r"^after_step_\(-0\.1\): give 0 or more, which is lr / \(1 -",
    ),
    "a step as text": (lambda: after_step("0.1"), UsageError, r"^after_step_\('0\.1'\): give"),
    "no advance": (
        lambda: gone_a_step(warmup=2),
        UsageError,
        r"call advance\(done=epochs so far, epochs=all\) before every",
    ),
    "an option as text": (
        lambda: penalty(name="polarization", polarity="1"),
        UsageError,
        "^polarity '1': its t; .*; give one like 1.2, >= 0$",
    ),
    "an option below 0": (lambda: penalty(name="polarization", polarity=-1), UsageError, "^polarity -1: "),
    "a report on meta": (
        lambda: netslim.penalty(on_meta(), strength=1).report(),
        UsageError,
        "meta device, and its scales",
    ),
    "save, order": (lambda: netslim.save(SMALL, "small.pth.tar"), UsageError, r"the order is save\(path, model\)$"),
    "load, no path": (lambda: netslim.load(None), UsageError, "a path of type NoneType: give the file"),
    "export, order": (
        lambda: netslim.export(MODEL, "a.onnx", IMAGES),
        UsageError,
        r"is export\(model, example, path\)$",
    ),
    "export, on meta": (
        lambda: netslim.export(on_meta(), IMAGES, "small", "safetensors"),
        UsageError,
        "Sequential is on the meta device: load its weights, then export it$",
    ),
    "no example": (
        lambda: netslim.for_inference(MODEL, None),
        UsageError,
        "holds no tensor, but NoneType: give an input of the network$",
    ),
    "no tensor": (
        lambda: netslim.for_inference(MODEL, (IMAGES, [IMAGES])),
        UsageError,
        "an example with a part of type list: a fixed graph takes tensors, one by one$",
    ),
    "no name": (lambda: netslim.create_model(None), UsageError, "a network's name of type NoneType: give one like"),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_error_for(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call, kind, message = WRONG[case]
    with pytest.raises(kind, match=message):
        call()
    assert not [*tmp_path.iterdir()]


def test_a_penalty_on_frozen_scales_says_that_it_changes_nothing() -> None:
    with pytest.warns(NetslimWarning, match=r"^all scales of Sequential are frozen \(requires_grad is False\)"):
        netslim.penalty(network().requires_grad_(False), strength=1)


def test_a_penalty_that_stays_with_the_optimizer_of_before_says_so() -> None:
    model, other = network(), network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    penalty = netslim.penalty(model, "proximal", strength=1e-2, optimizer=optimizer)
    model(IMAGES).sum().backward()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(50):
            penalty.before_step_()
            torch.optim.SGD(other.parameters(), lr=0.1).step()
            penalty.after_step_()
    (said,) = caught
    assert str(said.message).startswith("the penalty's optimizer has not stepped in the last 20 steps: after a pruning")


def test_repairing_a_trained_network_or_against_another_one_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", NetslimWarning)
        repair([IMAGES])
    trained = copy.deepcopy(SMALL)
    trained[3].weight.data += 0.1
    for small, model in ((trained, MODEL), (copy.deepcopy(SMALL), network())):
        with pytest.warns(
            NetslimWarning, match=r"^\d\.weight is not what apply\(\) leaves of it: constants are absorbed"
        ):
            netslim.repair_(small, model, [IMAGES])


def test_a_share_that_rounding_does_not_allow_is_said() -> None:
    with pytest.warns(NetslimWarning, match=r"^11 channels can't be met within 1%: the nearest .* are 24 \(100\.0% of"):
        assert plan(percent=0.5, round_to=64).kept == 24


def test_patterns_may_be_one_string_and_schedules_any_iterable() -> None:
    assert plan(percent=0.5, ignore="0").groups[0].keep == (*range(8),)
    assert plan(percent=0.3, ignore="0,8").groups[0].keep == (*range(8),)
    rounds = netslim.iterative(MODEL, IMAGES, (share / 10 for share in (2, 4)))
    assert [each.plan.percent for each in rounds] == [0.2, 0.4]
