from collections.abc import Callable

import pytest
import torch
from torch import nn

from netslim.training.device_scalars import DeviceScalars
from netslim.training.optimizer import build_sgd
from netslim.training.penalties import PENALTIES
from netslim.training.penalties.strength import Progress


def test_inside_both_read_tensors_and_outside_their_own_numbers(make_tiny: Callable[[], nn.Module]) -> None:
    model = make_tiny()
    optimizer = build_sgd(model, lr=0.1, momentum=0.9, weight_decay=0.0, scale_decay=False)
    penalty = PENALTIES.get("l1").build(model, 0.02)
    scalars = DeviceScalars(optimizer, penalty, torch.device("cpu"))
    with pytest.raises(ValueError, match="x"), scalars.read():  # noqa: PT012
        rates = [group["lr"] for group in optimizer.param_groups]
        factor = penalty.device_factor
        raise ValueError("x")
    assert penalty.device_factor is None
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.1]
    assert factor is not None
    penalty.factor = 0.25
    optimizer.param_groups[0]["lr"] = 0.3
    scalars.update()
    assert [float(rate) for rate in rates] == [0.3, 0.3]  # the same tensors, in float64: the bits of a Python number
    assert float(factor) == 0.25


def test_a_step_from_dials_has_the_bits_of_one_from_numbers(make_tiny: Callable[[], nn.Module]) -> None:
    ends = []
    for on_device in (False, True):
        model = make_tiny()
        optimizer = build_sgd(model, lr=0.1, momentum=0.9, weight_decay=0.01)
        penalty = PENALTIES.get("l1").build(model, 0.02)
        penalty.advance(Progress(done=1.0, epochs=3))
        scalars = DeviceScalars(optimizer, penalty, torch.device("cpu"))
        for rate in (0.1, 0.03):
            optimizer.param_groups[0]["lr"] = rate
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
            scalars.update()
            if on_device:
                with scalars.read():
                    penalty.before_step_()
                    optimizer.step()
            else:
                penalty.before_step_()
                optimizer.step()
        ends.append([*model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
