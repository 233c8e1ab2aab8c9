"""The ten lines in loops that people write: mixed precision, accumulation, compiled, averaged, several processes."""

import copy
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import netslim

STEPS = 4


def network() -> nn.Sequential:
    torch.manual_seed(1)
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)),
    )
    for place in (1, 4):
        nn.init.uniform_(model[place].weight, 0.01, 1)
    return model.eval()  # batch statistics would differ from part to part


def data() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    return [
        (torch.randn(8, 3, 8, 8, generator=generator), torch.randint(4, (8,), generator=generator))
        for _ in range(STEPS)
    ]


def sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


def trained(kind: str) -> nn.Sequential:
    """What the plain loop makes of the network: before pruning, through it, and after."""
    model = network()
    optimizer = sgd(model)
    penalty = netslim.penalty(model, kind, strength=0.02, optimizer=optimizer)
    for images, labels in data():
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        penalty.before_step_()
        optimizer.step()
        penalty.after_step_()
    small, optimizer = through(model, optimizer)
    for images, labels in data():
        optimizer.zero_grad()
        F.cross_entropy(small(images), labels).backward()
        optimizer.step()
    return small


def through(model: Any, optimizer: Any) -> tuple[Any, Any]:
    plan = netslim.plan(model, data()[0][0], percent=0.3)
    small = netslim.apply(model, plan).eval()
    netslim.repair_(small, model, data(), absorb=False)
    return small, netslim.carry(optimizer, model, small)


def the_same(one: nn.Module, other: nn.Module) -> None:
    expected = other.state_dict()
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("kind", ["l1", "proximal"])
def test_with_a_scaler_and_accumulation(kind: str) -> None:
    model = network()
    optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu", init_scale=256.0)
    penalty = netslim.penalty(model, kind, strength=0.02, optimizer=optimizer)

    def backward(model: nn.Module, images: Tensor, labels: Tensor) -> None:
        for part, classes in zip(images.chunk(2), labels.chunk(2), strict=True):
            with torch.autocast("cpu", enabled=False):
                loss = F.cross_entropy(model(part), classes) / 2
            scaler.scale(loss).backward()

    for images, labels in data():
        backward(model, images, labels)
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1e6)
        penalty.before_step_()
        scaler.step(optimizer)
        penalty.after_step_()
        scaler.update()
        optimizer.zero_grad()
    small, optimizer = through(model, optimizer)
    for images, labels in data():
        backward(small, images, labels)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    the_same(small, trained(kind))


def test_compiled() -> None:
    model = torch.compile(network(), backend="eager")
    optimizer = sgd(model)
    penalty = netslim.penalty(model, "proximal", strength=0.02, optimizer=optimizer)
    for images, labels in data():
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        penalty.before_step_()
        optimizer.step()
        penalty.after_step_()
    small, optimizer = through(model, optimizer)
    compiled = torch.compile(small, backend="eager")
    for images, labels in data():
        optimizer.zero_grad()
        F.cross_entropy(compiled(images), labels).backward()
        optimizer.step()
    the_same(small, trained("proximal"))


# Two processes


def rank_(rank: int, folder: Path) -> None:
    """One of two processes, each with half of every batch."""
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "store"), 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    model: Any = DistributedDataParallel(network())
    optimizer = sgd(model)
    penalty = netslim.penalty(model, "l1", strength=0.02, optimizer=optimizer)
    for images, labels in data():
        optimizer.zero_grad()
        F.cross_entropy(model(images.chunk(2)[rank]), labels.chunk(2)[rank]).backward()
        penalty.before_step_()
        optimizer.step()
        penalty.after_step_()
    small, optimizer = through(model, optimizer)
    model = DistributedDataParallel(small)
    for images, labels in data():
        optimizer.zero_grad()
        F.cross_entropy(model(images.chunk(2)[rank]), labels.chunk(2)[rank]).backward()
        optimizer.step()
    torch.save(small.state_dict(), folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["netslim.own_loop.penalty", "torch._dynamo"])
    ranks = [context.Process(target=rank_, args=(rank, tmp_path)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    small = trained("l1")
    for rank in range(2):
        found = copy.deepcopy(small)
        found.load_state_dict(torch.load(tmp_path / f"{rank}.pt"))
        the_same(found, small)


# What survives a pruning


def test_an_average_of_the_weights_is_cut_by_the_same_plan_and_goes_on() -> None:
    """Each entry of the average is computed alone, so cutting before and after an update is the same."""
    model = network()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    nn.init.normal_(model[0].weight)
    average.update_parameters(model)
    plan = netslim.plan(model, data()[0][0], percent=0.3)
    small, expected = netslim.apply(model, plan), copy.deepcopy(average)
    average.module = netslim.apply(average.module, plan)
    nn.init.normal_(model[3].weight)
    small[3].weight.data.copy_(netslim.apply(model, plan)[3].weight)
    average.update_parameters(small)
    expected.update_parameters(model)
    the_same(average.module, netslim.apply(expected.module, plan))
    assert average.n_averaged == 2


def test_timms_average() -> None:
    from timm.utils import ModelEmaV3

    model = network()
    average = ModelEmaV3(model, decay=0.5)
    plan = netslim.plan(model, data()[0][0], percent=0.3)
    small = netslim.apply(model, plan)
    average.module = netslim.apply(average.module, plan)
    nn.init.zeros_(small[0].weight)
    before = average.module[0].weight.clone()
    average.update(small)
    torch.testing.assert_close(average.module[0].weight, before / 2)


def test_frozen_layers_stay_frozen_and_their_scales_as_they_are() -> None:
    model = network()
    for parameter in [*model[0].parameters(), *model[1].parameters()]:
        parameter.requires_grad_(False)
    before = copy.deepcopy(model[1].state_dict())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
    penalty = netslim.penalty(model, "proximal", strength=0.1, optimizer=optimizer)
    F.cross_entropy(model(data()[0][0]), data()[0][1]).backward()
    penalty.before_step_()
    optimizer.step()
    penalty.after_step_()
    assert all(torch.equal(value, before[name]) for name, value in model[1].state_dict().items())
    small, optimizer = through(model, optimizer)
    assert [parameter.requires_grad for parameter in small.parameters()] == [
        parameter.requires_grad for parameter in model.parameters()
    ]
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {
        id(p) for p in small.parameters() if p.requires_grad
    }


def test_a_file_of_averaged_weights_has_their_plan(tmp_path: Path) -> None:
    model, images = netslim.create_model("resnet", depth=11, num_classes=10), torch.randn(2, 3, 16, 16)
    small = netslim.apply(model, netslim.plan(model, images, percent=0.3, criterion="l2_norm"))
    average = AveragedModel(small)
    netslim.save(tmp_path / "average.pth.tar", average)
    loaded = netslim.load(tmp_path / "average.pth.tar")
    assert torch.equal(loaded(images), average.eval()(images))
