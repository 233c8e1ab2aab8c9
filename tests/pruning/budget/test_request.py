"""Budgets as they are typed, and what can't be."""

from typing import Any

import pytest
import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.pruning import plan
from netslim.pruning.budget.request import requested
from pruning.networks import EXAMPLE, resnet

SHARES = "what should remain, as a share of the unpruned network's, more than 0 and less than 1 (0.5), or as "


COUNT, TIME = SHARES + "a number with K, M or G (120M)", SHARES + "a time with us, ms or s (3ms)"


@pytest.mark.parametrize(
    ("kind", "typed", "value", "relative"),
    [
        ("macs", "0.5", 0.5, True),
        ("macs", 0.5, 0.5, True),
        ("macs", ".25", 0.25, True),
        ("macs", "5e-1", 0.5, True),
        ("macs", "120M", 120e6, False),
        ("macs", " 1.2 g ", 1.2e9, False),
        ("params", "1.2m", 1.2e6, False),
        ("params", "870k", 870e3, False),
        ("params", 1_200_000, 1.2e6, False),
        ("params", "1200000", 1.2e6, False),
        ("params", "0.5M", 5e5, False),
        ("latency", "3ms", 3e-3, False),
        ("latency", "800us", 8e-4, False),
        ("latency", "0.8 µs", 8e-7, False),
        ("latency", "0.01s", 0.01, False),
        ("latency", "0.6", 0.6, True),
    ],
)
def test_what_can_be_typed(kind: str, typed: float | str, value: float, relative: bool) -> None:
    request = requested(None, {kind: typed})
    assert (request.kind, request.relative) == (kind, relative)
    assert request.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "typed", "message"),
    [
        ("macs", "2", f"{COUNT}; for 2 % type 0.02"),
        ("macs", 50, f"{COUNT}; for 50 % type 0.5"),
        ("macs", "12Q", COUNT),
        ("macs", "1", COUNT),
        ("macs", "100", COUNT),
        ("macs", "0", COUNT),
        ("macs", "-0.5", COUNT),
        ("macs", "3ms", COUNT),
        ("macs", "", COUNT),
        ("macs", "nan", COUNT),
        ("macs", "1e999", COUNT),
        ("params", "50%", f"{COUNT}; type 0.5"),
        ("macs", "0,5", f"{COUNT}; type 0.5"),
        ("latency", "3", f"{TIME}; for 3 % type 0.03"),
        ("latency", "500", TIME),
        ("latency", "3M", TIME),
        ("latency", "3 minutes", TIME),
    ],
)
def test_what_can_not_be_typed(kind: str, typed: float | str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        requested(None, {kind: typed})
    given = typed if isinstance(typed, int) or typed.isdecimal() else repr(typed)
    assert str(caught.value) == f"`target_{kind}={given}`: {message}"


MODEL = resnet(20, num_classes=5)


def refusal(model: nn.Module, example: torch.Tensor = EXAMPLE, **given: Any) -> str:
    with pytest.raises(UsageError) as caught:
        plan(model, example, **given)
    return str(caught.value)


def test_one_budget_and_no_other() -> None:
    assert refusal(MODEL) == (
        "there is no budget; type one of `percent`, `target_params`, `target_macs`, `target_latency`"
    )
    assert refusal(MODEL, percent=0.4, target_macs="1M") == (
        "`percent=0.4`, `target_macs='1M'`: a plan has one budget; type one of them"
    )
