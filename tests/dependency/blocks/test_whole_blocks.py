"""Whole residual blocks of a user's own network: planned, cut, proven, saved, pruned again, exported."""

from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import nn

import netslim
from netslim.core.errors import UsageError
from netslim.core.protocols import PrunePlan
from netslim.dependency.blocks.shortcut import Shortcut

from .nets import Net, net

EXAMPLE = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def unscaled() -> Net:
    """The network, with next to no scale in its first and last block."""
    model = net()
    for name in ("blocks.0.bn1", "blocks.3.norm"):
        nn.init.uniform_(model.get_parameter(f"{name}.weight"), 0.001, 0.01)
    return model


def kept(plan: PrunePlan) -> dict[str, int]:
    return {part.name: len(part.keep) for part in plan.groups}


def shortcuts(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, Shortcut)]


def test_there_and_back(tmp_path: Path) -> None:
    model = unscaled()
    plan = netslim.plan(model, EXAMPLE, percent=0.6, min_channels=0)
    assert (kept(plan)["blocks.0.bn1"], kept(plan)["blocks.3.norm"]) == (0, 0)
    small = netslim.apply(model, plan)
    assert shortcuts(small) == ["blocks.0", "blocks.3"]
    assert plan.after == netslim.measure(small, EXAMPLE[:1])
    assert netslim.verify(model, small, EXAMPLE).max_difference < 1e-5
    absorbed = netslim.absorb_(small, model, EXAMPLE)
    assert absorbed.after <= absorbed.before
    netslim.save(tmp_path / "small.pth.tar", small)
    again = netslim.load(tmp_path / "small.pth.tar", model=net()).eval()
    assert torch.equal(again(EXAMPLE), small(EXAMPLE))


@pytest.mark.slow
def test_it_is_exported(tmp_path: Path) -> None:
    model = unscaled()
    small = netslim.apply(model, netslim.plan(model, EXAMPLE, percent=0.6, min_channels=0))
    netslim.export(small, EXAMPLE, tmp_path / "small.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "small.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: EXAMPLE.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), small(EXAMPLE), rtol=1e-4, atol=1e-5)


def test_its_stream_can_lose_channels_later() -> None:
    model = unscaled()
    small = netslim.apply(model, netslim.plan(model, EXAMPLE, percent=0.6, min_channels=0))
    plan = netslim.plan(small, EXAMPLE, percent=0.3, criterion="l2_norm")
    smaller = netslim.apply(small, plan)
    assert shortcuts(smaller) == shortcuts(small)
    left = {len(smaller.get_buffer(f"{name}.shift")) for name in shortcuts(small)}
    assert left == {kept(plan)[name] for name in ("stem.1", "blocks.2.bn2")}
    assert sum(left) < sum(len(small.get_buffer(f"{name}.shift")) for name in shortcuts(small))
    assert plan.after == netslim.measure(smaller, EXAMPLE[:1])


def test_all_layers_stay_unless_they_may_go() -> None:
    assert min(kept(netslim.plan(unscaled(), EXAMPLE, percent=0.6)).values()) == 1


def test_what_is_no_such_block_is_refused() -> None:
    model = net()
    plan = netslim.plan(model, EXAMPLE, percent=0.1)
    groups = [replace(part, keep=()) if part.name == "blocks.2.bn1" else part for part in plan.groups]
    with pytest.raises(UsageError, match=r"leaves nothing of group 'blocks\.2\.bn1', which is in no residual branch"):
        netslim.apply(model, replace(plan, groups=tuple(groups)))


def test_optimizer_state_is_carried() -> None:
    model = unscaled()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(EXAMPLE).sum().backward()
    optimizer.step()
    small = netslim.apply(model, netslim.plan(model, EXAMPLE, percent=0.6, min_channels=0))
    new = netslim.carry(optimizer, model, small)
    assert len(new.state) == len([*small.parameters()])
