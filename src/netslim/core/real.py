"""Whether a setting is a number: Python's, NumPy's, or none."""

from numbers import Real


def is_number(value: object) -> bool:
    """Whether it is a real number by itself; tensors and strings are none."""
    return isinstance(value, Real)
