"""Times as people write them."""

import re

from netslim.core.errors import ArgumentError

OVERNIGHT = 8 * 3600.0
LONGEST = 30 * 24 * 3600.0
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?")
_SLURM_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


def seconds_of(text: str) -> float:
    """`90s`, `10m`, `1h30m` or `overnight` in seconds. Raises ArgumentError for anything else."""
    if text.strip() == "overnight":
        return OVERNIGHT
    match = _TIME.fullmatch(text.strip().replace(" ", ""))
    parts = match.groups() if match else (None, None, None)
    found = sum(float(part) * unit for part, unit in zip(parts, _UNITS.values(), strict=True) if part)
    if not 0 < found <= LONGEST:
        raise ArgumentError("time", text, "a time such as 90s, 10m, 1h30m or overnight (8h), of at most 720h")
    return found


def job_minutes(text: str) -> int:
    """The time of a job, as netslim writes times or as Slurm does: `90`, `1:30:00`, `1-12`. Raises ArgumentError."""
    if (match := _SLURM_TIME.fullmatch(text)) is None:
        try:
            return max(1, round(seconds_of(text) / 60))
        except ArgumentError as error:
            raise ArgumentError("slurm", [f"time={text}"], "a time such as 4h, 90m or 1-12:00:00") from error
    days, first, second, third = match.groups()
    if days is None and third is None:  # minutes and seconds
        return int(first)
    return (24 * int(days or 0) + int(first)) * 60 + int(second or 0)


def shown(seconds: float) -> str:
    """`45 s`, `12 min` or `1 h 30 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def typed(seconds: float) -> str:
    """A time not below this one, as it is typed."""
    minutes = int(seconds // 60) + 1
    return f"{minutes}m" if minutes < 120 else f"{minutes // 60 + 1}h"
