"""A penalty that the optimizer's step takes along, and one penalty at a time."""

import copy
import gc
import pickle
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.core.errors import UsageError
from penalties.penalised import VALUES, scaled

KINDS = ["l1", "polarization", "proximal"]


def backward(
    model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, images: Tensor, labels: Tensor
) -> Tensor:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), labels)
    scaler.scale(loss).backward()
    return loss


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("how", ["plain", "closure", "scaler", "scaler-unscaled"])
def test_attached_it_does_what_the_two_calls_do(
    kind: str, fused: bool, how: str, make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    ends = []
    for attached in (False, True):
        model = make_tiny()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=fused)
        penalty = netslim.penalty(model, kind, strength=0.05, optimizer=optimizer)
        scaler = torch.amp.GradScaler("cpu", enabled=attached and how.startswith("scaler"))
        if attached:
            assert penalty.attach_() is penalty

        closure = partial(backward, model, optimizer, scaler, *batch)
        for _ in range(4):
            if not attached:
                closure()
                penalty.before_step_()
                optimizer.step()
                penalty.after_step_()
            elif how == "closure":
                optimizer.step(closure)
            else:
                closure()
                if how == "scaler-unscaled":
                    scaler.unscale_(optimizer)
                scaler.step(optimizer)
                scaler.update()
        ends.append([*model.parameters()])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_attached_it_is_not_called_by_hand() -> None:
    norm = scaled(nn.BatchNorm1d(3))
    penalty = netslim.penalty(norm, strength=1.0, optimizer=torch.optim.SGD(norm.parameters())).attach_()
    with pytest.raises(UsageError, match=r"^the optimizer's step takes this penalty along \(attach_\(\)\): leave the"):
        penalty.before_step_()
    with pytest.raises(UsageError, match=r"^this penalty is attached already$"):
        penalty.attach_()
    with pytest.raises(UsageError, match=r"^there is no optimizer to attach to: give penalty\(\.\.\., optimizer="):
        netslim.penalty(norm, strength=1.0).attach_()


def test_a_step_that_failed_leaves_the_next_one_as_it_is() -> None:
    norm = scaled(nn.BatchNorm1d(3))
    optimizer = torch.optim.SGD(norm.parameters(), lr=0.1)
    netslim.penalty(norm, strength=1.0, optimizer=optimizer).attach_()

    def broken() -> float:
        raise MemoryError

    with pytest.raises(MemoryError):
        optimizer.step(broken)
    optimizer.step()
    torch.testing.assert_close(norm.weight.detach(), VALUES - 0.1 * VALUES.sign())


# One penalty at a time


def test_of_two_penalties_on_one_network_the_first_is_refused_when_it_is_used() -> None:
    model = nn.Sequential(scaled(nn.BatchNorm1d(3)), scaled(nn.BatchNorm1d(3)))
    first = netslim.penalty(model, strength=1.0)
    second = netslim.penalty(model[1], strength=1.0)  # a part of it is enough
    second.before_step_()
    with pytest.raises(UsageError) as error:
        first.before_step_()
    assert str(error.value) == (
        "the network has got another penalty after this one, and takes one at a time: call remove() on this one, or do "
        "not make the other"
    )
    assert torch.equal(model[0].weight.grad, torch.zeros(3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_of_a_notebook_that_runs_again_makes_a_penalty_that_works(kind: str) -> None:
    """The old one is still there while the new one is made, and for as long as the optimizer's hooks keep it."""
    norm = scaled(nn.BatchNorm1d(3))
    for _ in range(3):
        optimizer = torch.optim.SGD(norm.parameters(), lr=0.1)
        penalty = netslim.penalty(norm, kind, strength=0.1, optimizer=optimizer)
        penalty.before_step_()
        optimizer.step()
        penalty.after_step_()
    del penalty
    gc.collect()
    netslim.penalty(norm, kind, strength=0.1).before_step_()


def test_an_ended_penalty_leaves_network_and_optimizer_as_they_were() -> None:
    norm = scaled(nn.BatchNorm1d(3))
    optimizer, before = torch.optim.SGD(norm.parameters(), lr=0.1), {*vars(norm)}
    penalty = netslim.penalty(norm, strength=1.0, optimizer=optimizer).attach_()
    penalty.remove()
    assert {*vars(norm)} == before
    optimizer.step()
    assert torch.equal(norm.weight.detach(), VALUES)
    with pytest.raises(UsageError, match=r"^this penalty was ended by remove\(\): make another one$"):
        penalty.before_step_()


def test_copies_and_files_of_the_network_have_no_penalty_and_the_network_keeps_its_own() -> None:
    norm = scaled(nn.BatchNorm1d(3))
    penalty = netslim.penalty(norm, strength=1.0)
    for other in (copy.deepcopy(norm), pickle.loads(pickle.dumps(norm))):  # noqa: S301  (made a line above)
        netslim.penalty(other, strength=1.0)
    penalty.before_step_()


def test_an_optimizer_that_was_carried_to_the_small_network_leaves_the_penalty_behind() -> None:
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2)
    model, images = nn.Sequential(*layers), torch.randn(2, 3, 8, 8)
    nn.init.uniform_(model[1].weight, 0.1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    penalty = netslim.penalty(model, "l1", strength=1.0, optimizer=optimizer).attach_()
    small = netslim.apply(model, netslim.plan(model, images, percent=0.4))
    netslim.carry_(optimizer, model, small)
    with pytest.raises(UsageError) as error:
        optimizer.step()
    assert str(error.value) == (
        "the optimizer does not train this network any more, as after carry_(): call remove() on this penalty, and "
        "make one for the small network"
    )
    penalty.remove()
    netslim.penalty(small, "l1", strength=1.0, optimizer=optimizer).attach_()
    optimizer.step()
