import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.training.precision import Precision, choose_precision


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


def test_fp32_is_plain_and_needs_no_probe() -> None:
    nothing = torch.empty(0)
    assert choose_precision("fp32", nn.Identity(), nothing, nothing) == Precision("fp32", channels_last=True)


def test_an_unknown_precision() -> None:
    with pytest.raises(UsageError) as error:
        choose_precision("fp8", nn.Identity(), torch.empty(0), torch.empty(0))
    assert str(error.value) == "unknown precision 'fp8'; did you mean fp32 or fp16? (known: auto, bf16, fp16, fp32)"


def test_arrange_changes_the_layout_and_no_value(make_tiny: Callable[[], nn.Module]) -> None:
    model, images = make_tiny(), torch.randn(2, 3, 4, 4)
    before = copy.deepcopy(model.state_dict())
    precision = Precision("fp32", channels_last=True)
    precision.arrange_(model)
    arranged = precision.arrange(images)
    assert arranged.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(arranged, images)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_autocast_computes_in_the_dtype() -> None:
    weights = torch.randn(4, 4)
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        with Precision(name).autocast(torch.device("cpu")):
            assert (weights @ weights).dtype == dtype


def test_what_is_printed() -> None:
    assert str(Precision("bf16", channels_last=True)) == "bf16, channels-last"
    assert str(Precision()) == "fp32, contiguous"
