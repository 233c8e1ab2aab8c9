"""With the whole batch in one process it must be torch's own BatchNorm; what several add is a sum."""

import copy

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from netslim.core.processes.distributed import ALONE, World
from netslim.training.processes import sync_bn
from netslim.training.processes.sync_bn import SyncedBatchNorm, torch_has_one


def both(norm: nn.Module, x: Tensor) -> list[dict[str, Tensor]]:
    """Outputs, gradients and buffers, by torch and by ours."""
    found = []
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    for synced in (False, True):
        own, inputs = copy.deepcopy(norm).train(), x.clone().requires_grad_()
        if synced:
            with SyncedBatchNorm(ALONE):
                y = own(inputs)
        else:
            y = own(inputs)
        (y.float() * weights).sum().backward()
        assert inputs.grad is not None
        gradients = {f"{name}.grad": p.grad for name, p in own.named_parameters() if p.grad is not None}
        found.append({"y": y.detach(), "x": inputs.grad, **gradients, **dict(own.named_buffers())})
    return found


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(5),
        nn.BatchNorm2d(5, momentum=None),
        nn.BatchNorm2d(5, affine=False),
        nn.BatchNorm2d(5, track_running_stats=False),
        BatchNormAct2d(5),
    ],
)
def test_it_is_batch_norm(norm: nn.Module) -> None:
    for parameter in norm.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    x = 3 + 2 * torch.randn(4, 5, 3, 3, generator=torch.Generator().manual_seed(1))
    expected, found = both(norm, x)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.allclose(value, found[name], rtol=1e-5, atol=1e-5), name


def test_after_a_linear_layer_and_in_half_precision() -> None:
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    for expected, found in (both(nn.BatchNorm1d(5), x), both(nn.BatchNorm1d(5), x.bfloat16())):
        assert found["y"].dtype == expected["y"].dtype
        tolerance = 1e-5 if found["y"].dtype == torch.float32 else 3e-2
        assert all(torch.allclose(expected[k], found[k], atol=tolerance) for k in expected)


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    x = 1000 + torch.randn(64, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    expected, found = both(nn.BatchNorm2d(2), x)
    assert torch.allclose(expected["running_var"], found["running_var"], rtol=1e-4)
    assert torch.allclose(expected["y"], found["y"], atol=1e-3)


def test_in_eval_mode_and_outside_nothing_changes() -> None:
    norm, x = nn.BatchNorm2d(3).eval(), torch.randn(2, 3, 2, 2)
    norm.running_mean = torch.tensor([1.0, 2.0, 3.0])
    with SyncedBatchNorm(ALONE):
        inside = norm(x)
    assert torch.equal(inside, norm(x))
    assert type(norm) is nn.BatchNorm2d


def test_several_processes_on_gpus_use_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose function takes CPU tensors nowhere: here it is told what it gets."""
    assert [torch_has_one(torch.device(kind)) for kind in ("cuda", "cpu", "mps")] == [True, False, False]
    seen: list[object] = []

    def own(*given: object, group: object) -> Tensor:
        seen[:] = [*given, group]
        return torch.zeros(2, 3, 2, 2)

    monkeypatch.setattr(sync_bn, "torch_has_one", lambda _: True)
    monkeypatch.setattr(sync_bn, "synced_batch_norm", own)
    norm, x, group = nn.BatchNorm2d(3, momentum=0.3, eps=1e-4), torch.randn(2, 3, 2, 2), object()
    with SyncedBatchNorm(World(0, 2, group)):  # type: ignore[arg-type]
        norm(x)
        wanted = [x, norm.running_mean, norm.running_var, norm.weight, norm.bias, 0.3, 1e-4, group]
        assert all(given is want or given == want for given, want in zip(seen, wanted, strict=True))
        seen.clear()
        norm.eval()(x)
    with SyncedBatchNorm(ALONE):
        norm.train()(x)
    assert seen == []
