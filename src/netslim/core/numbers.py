"""Whether a setting is a number: Python's, NumPy's, or none; and which one was meant."""

from contextlib import suppress
from numbers import Real


def is_number(value: object) -> bool:
    """Whether it is a real number by itself; tensors and strings are none."""
    return isinstance(value, Real)


def meant(given: object) -> str:
    """What to type for `50%` and `0,5`, as the end of a message; nothing for what is neither."""
    text = given.strip() if isinstance(given, str) else ""
    with suppress(ValueError):
        if text.endswith("%"):
            return f"; type {float(text[:-1]) / 100:g}"
        if text.count(",") == 1:
            return f"; type {float(text.replace(',', '.')):g}"
    return ""
