"""Damage with a fixed seed: bytes of any file, values of JSON and of checkpoints, command lines."""

import random
from collections.abc import Callable
from typing import Any

import torch

VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 2**31, 2**63, 10**30, -(2**63), 0.5, -0.5, 1e300, float("inf"), float("nan"), "", "x",
    "x" * 5000, "../../etc/passwd", "\x00", "\ud800", [], [[]], {}, {"": None}, [1, "2", None], b"x", (1, 2),
]  # fmt: skip


def damaged(data: bytes, source: random.Random) -> bytes:
    """Some bytes flipped, cut out, repeated, put in, or zeroed."""
    found = bytearray(data)
    for _ in range(source.randint(1, 3)):
        at, length = source.randrange(len(found) + 1), source.randint(1, 40)
        match source.randrange(6):
            case 0 if at < len(found):
                found[at] ^= 1 << source.randrange(8)
            case 1:
                del found[at : at + length]
            case 2:
                found[at:at] = found[at : at + length]
            case 3:
                found[at:at] = source.randbytes(length)
            case 4:
                found[at : at + length] = bytes(len(found[at : at + length]))
            case _:
                del found[at:]
    return bytes(found)


def twisted(data: Any, source: random.Random) -> Any:
    """The same nested data with one value somewhere replaced, removed, or nested ten thousand deep."""
    places: list[tuple[Any, Any]] = []
    copy = _copied(data, places)
    if not places:
        return source.choice(VALUES)
    holder, key = source.choice(places)
    match source.randrange(12):
        case 0:
            del holder[key]
        case 1:
            deep: Any = 0
            for _ in range(10_000):
                deep = [deep]
            holder[key] = deep
        case 2:
            holder[key] = torch.ones(3)
        case _:
            holder[key] = source.choice(VALUES)
    return copy


def _copied(data: Any, places: list[tuple[Any, Any]]) -> Any:
    if not isinstance(data, dict | list):
        return data
    found: Any = dict(data) if isinstance(data, dict) else list(data)
    for key in list(found) if isinstance(found, dict) else range(len(found)):
        found[key] = _copied(found[key], places)
        places.append((found, key))
    return found


def command_line(verbs: dict[str, list[str]], paths: list[str], source: random.Random) -> list[str]:
    """A verb with flags that exist and values that make no sense, and flags that do not exist."""
    verb = source.choice(list(verbs))
    line = [verb] if source.random() < 0.97 else [source.choice(["", "trian", "--", "-x", "\udcff"])]
    texts: list[Callable[[], str]] = [
        lambda: source.choice(
            ["", "0", "-1", "1", "nan", "inf", "1e300", "9" * 400, "x", "a,b", "0.5,0.5", "é", "[" * 3000]
        ),
        lambda: source.choice(paths),
        lambda: str(source.uniform(-3, 3)),
        lambda: str(source.randint(-5, 2**40)),
    ]
    for _ in range(source.randint(0, 4)):
        flag = source.choice(verbs[verb]) if source.random() < 0.9 else source.choice(["--epohcs", "-q", "--", "---"])
        line += [flag] if source.random() < 0.1 else [flag, source.choice(texts)()]
    return [*line, source.choice(paths)] if source.random() < 0.6 else line
