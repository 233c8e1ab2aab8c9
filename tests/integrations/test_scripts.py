"""The order of steps in timm's and torchvision's training scripts, with one line added to each."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import netslim
from netslim.core.errors import UsageError

DATA = [
    (torch.randn(8, 3, 8, 8, generator=generator), torch.randint(4, (8,), generator=generator))
    for generator in [torch.Generator().manual_seed(2)]
    for _ in range(6)
]
CLIP = 0.5


def network() -> nn.Sequential:
    torch.manual_seed(1)
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)
    model = nn.Sequential(*layers)
    nn.init.uniform_(model[1].weight, 0.01, 1)
    return model


def torchvision_script(kind: str, amp: bool) -> nn.Module:
    """`references/classification/train.py`: main() up to the loop, then train_one_epoch()."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    netslim.penalty(model, kind, strength=0.05, optimizer=optimizer).attach_()  # the line to add
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0) if amp else None
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    for images, labels in DATA:
        with torch.autocast("cpu", enabled=False):
            loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        if scaler is not None:
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            scaler.step(optimizer)
            scaler.update()
        else:
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
        average.update_parameters(model)
    return model


def timm_script(kind: str, amp: bool) -> nn.Module:
    """timm's `train.py`: main() up to the loop, then train_one_epoch(), with timm's own parts."""
    from timm.optim import create_optimizer_v2
    from timm.utils import ModelEmaV3, NativeScaler, dispatch_clip_grad

    model = network()
    optimizer = create_optimizer_v2(model, opt="momentum", lr=0.1, momentum=0.9, weight_decay=0.0)
    netslim.penalty(model, kind, strength=0.05, optimizer=optimizer).attach_()  # the line to add
    loss_scaler = NativeScaler(device="cpu") if amp else None
    average = ModelEmaV3(model, decay=0.9)
    for images, labels in DATA:
        loss = F.cross_entropy(model(images), labels)
        if loss_scaler is not None:
            loss_scaler(loss, optimizer, clip_grad=CLIP, parameters=model.parameters(), need_update=True)
        else:
            loss.backward()
            dispatch_clip_grad(model.parameters(), value=CLIP)
            optimizer.step()
        optimizer.zero_grad()
        average.update(model)
    return model


def by_hand(kind: str) -> nn.Module:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    penalty = netslim.penalty(model, kind, strength=0.05, optimizer=optimizer)
    for images, labels in DATA:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        penalty.before_step_()
        optimizer.step()
        penalty.after_step_()
    return model


@pytest.mark.parametrize("kind", ["l1", "proximal"])
@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("script", [torchvision_script, timm_script])
def test_one_line_is_the_ten(script: Callable[..., nn.Module], amp: bool, kind: str) -> None:
    found: list[Tensor] = [*script(kind, amp).parameters()]
    for one, other in zip(found, by_hand(kind).parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_any_optimizer_of_timm_takes_the_subgradient_along() -> None:
    from timm.optim import create_optimizer_v2

    for name in ("lamb", "adamp", "nadamw"):
        model = network()
        optimizer: Any = create_optimizer_v2(model, opt=name, lr=0.01)
        seen: list[Tensor] = []
        penalty = netslim.penalty(model, "l1", strength=1.0, optimizer=optimizer).attach_()
        F.cross_entropy(model(DATA[0][0]), DATA[0][1]).backward()
        before = model[1].weight.grad.clone()
        optimizer.register_step_post_hook(lambda *_, model=model, seen=seen: seen.append(model[1].weight.grad.clone()))
        optimizer.step()
        torch.testing.assert_close(seen[0], before + 1.0, msg=name)
        penalty.remove()
    outer: Any = create_optimizer_v2(model, opt="lookahead_momentum", lr=0.01)
    with pytest.raises(UsageError, match=r"^Lookahead's step calls no hooks: give the optimizer that is inside of it$"):
        netslim.penalty(model, "l1", strength=1.0, optimizer=outer).attach_()
    netslim.penalty(model, "proximal", strength=1.0, optimizer=outer._base_optimizer).attach_()
