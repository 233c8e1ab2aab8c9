"""Budgets as they are typed: a share of the channels, or what should remain of parameters, MACs or latency."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from netslim.core.errors import ArgumentError, UsageError, one_of
from netslim.core.numbers import is_number, meant

_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_PERCENT_LIKE = 100


@dataclass(frozen=True)
class Request:
    """A budget that was asked for.

    Attributes:
        kind: "percent", "params", "macs" or "latency".
        asked: as it was given.
        value: a share of the channels that goes (percent), a share of the unpruned network's cost, or the cost.
        relative: whether `value` is a share.
    """

    kind: str
    asked: str
    value: float
    relative: bool = True

    @property
    def setting(self) -> str:
        """The setting that asks for it."""
        return setting_of(self.kind)

    def target(self, dense: float) -> float:
        """What should remain of the unpruned network's cost, as a cost."""
        return self.value * dense if self.relative else self.value

    def __str__(self) -> str:
        return asked_for(self.kind, self.asked)


def setting_of(kind: str) -> str:
    """The setting that asks for a kind of budget."""
    return "percent" if kind == "percent" else f"target_{kind}"


def asked_for(kind: str, asked: str) -> str:
    """A budget as a message writes it: `percent=0.4`, `target_macs='120M'`."""
    number = kind == "percent" or asked.replace(".", "", 1).isdecimal()
    return f"`{setting_of(kind)}={asked if number else repr(asked)}`"


def in_ms(seconds: float) -> str:
    """A time as `target_latency` takes it: 0.0031 -> `3.1ms`."""
    return f"{seconds * 1e3:.3g}ms"


def requested(percent: float | None, targets: Mapping[str, float | str | None]) -> Request:
    """The one budget that was given.

    Args:
        percent: the share of the channels that goes.
        targets: by kind ("params", "macs", "latency"), what should remain.

    Raises:
        UsageError: there are several or none, or what was typed is no budget.
    """
    given = [_percent(percent)] if percent is not None else []
    given += [_target(kind, value) for kind, value in targets.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{one_of(str(request) for request in given)}: a plan has one budget; type one of them")
    if not given:
        settings = [f"`{setting_of(kind)}`" for kind in ("percent", *targets)]
        raise UsageError(f"there is no budget; type one of {one_of(settings)}")
    return given[0]


def check_counts(min_channels: int, round_to: int, latency_batch: int) -> None:
    """Raises UsageError unless they are numbers of channels, and of images."""
    for name, count in (("min_channels", min_channels), ("latency_batch", latency_batch), ("round_to", round_to)):
        if not isinstance(count, int):
            raise ArgumentError(name, count, "a whole number, like 8")
    if min_channels < 0:
        raise ArgumentError("min_channels", min_channels, "the least that a layer keeps; type 1, or more, or 0")
    if latency_batch < 1:
        raise ArgumentError("latency_batch", latency_batch, "images of the batch that is timed; type 1 or more")
    if round_to < 1:
        raise ArgumentError("round_to", round_to, "what widths are multiples of; type 1 (any width), 8 or 16")


def _percent(percent: float) -> Request:
    if not is_number(percent):
        raise UsageError(f"`percent={percent!r}`: the share of channels to remove is a number; type 0.5 for half")
    if not 0 <= percent < 1:
        hint = f"; type {percent / 100:g}?" if 1 < percent < _PERCENT_LIKE else ""
        raise UsageError(
            f"`percent={percent:g}`: the share of channels to remove, from 0 up to but not including 1{hint}"
        )
    return Request("percent", f"{percent:g}", percent)


def _target(kind: str, given: float | str) -> Request:
    if not (is_number(given) or isinstance(given, str)):
        raise UsageError(f"`{setting_of(kind)}={given!r}`: {_allowed(kind, 0, '')}")
    asked = given.strip() if isinstance(given, str) else f"{float(given):.15g}"
    units = _SECONDS if kind == "latency" else _COUNTS
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)(?:e([+-]?\d+))?\s*([a-zµ]*)", asked.lower())
    number = float(f"{match[1]}e{match[2] or 0}") if match else 0.0
    unit = match[3].replace("µ", "u") if match else ""
    if 0 < number < 1 and not unit:
        return Request(kind, asked, number)
    if unit not in units or not 0 < number < float("inf") or (not unit and number <= _PERCENT_LIKE):
        raise UsageError(f"{asked_for(kind, asked)}: {_allowed(kind, number, unit)}{meant(asked)}")
    return Request(kind, asked, number * units[unit], relative=False)


def _allowed(kind: str, number: float, unit: str) -> str:
    example = "a time with us, ms or s (3ms)" if kind == "latency" else "a number with K, M or G (120M)"
    hint = f"; for {number:g} % type {number / 100:g}" if 1 < number < _PERCENT_LIKE and not unit else ""
    share = "a share of the unpruned network's, more than 0 and less than 1 (0.5)"
    return f"what should remain, as {share}, or as {example}{hint}"
