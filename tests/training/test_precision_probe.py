import copy
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.training.precision import Precision
from netslim.training.precision_probe import choose_precision


@pytest.mark.parametrize("name", ["auto", "bf16", "fp16"])
def test_the_probe_returns_a_candidate_and_leaves_everything_alone(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor], name: str
) -> None:
    model = make_tiny().train()
    before, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    chosen = choose_precision(name, model, *batch)
    assert chosen.name in (("fp32", "bf16") if name == "auto" else (name,))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert torch.equal(rng, torch.get_rng_state())


@pytest.mark.parametrize(("seconds", "images"), [(0.0, {8, 40}), (0.1, {8, 16}), (0.5, {8})])
def test_a_slow_network_is_probed_on_a_part_of_the_batch(
    monkeypatch: pytest.MonkeyPatch, seconds: float, images: set[int]
) -> None:
    """The clock goes on by `seconds` for every 8 images: as many are taken as 0.2 seconds last."""
    now, seen = 0.0, set()

    class Slow(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            nonlocal now
            now += max(seconds, 1e-6) * len(x) / 8
            seen.add(len(x))
            return super().forward(x.flatten(1))

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    choose_precision("auto", Slow(4, 3), torch.randn(40, 1, 2, 2), torch.zeros(40, dtype=torch.int64))
    assert seen == images


def test_fp32_is_plain_and_needs_no_probe() -> None:
    nothing = torch.empty(0)
    assert choose_precision("fp32", nn.Identity(), nothing, nothing) == Precision("fp32", channels_last=True)


def test_an_unknown_precision() -> None:
    with pytest.raises(UsageError) as error:
        choose_precision("fp8", nn.Identity(), torch.empty(0), torch.empty(0))
    assert str(error.value) == "unknown precision 'fp8'; did you mean fp32 or fp16? (known: auto, bf16, fp16, fp32)"
