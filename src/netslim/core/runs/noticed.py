"""What netslim warned of while something was done, kept beside being shown."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netslim.core.errors import NetslimWarning


@contextmanager
def noticed() -> Iterator[list[str]]:
    """Inside, the texts of all `NetslimWarning`s that are shown are also added to the list that this yields.

    Filters stay as they are: what is ignored, or was shown before, is not in the list.
    """
    texts: list[str] = []
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, NetslimWarning):
            texts.append(" ".join(str(message).split()))
        usual(message, category, *rest, **named)

    warnings.showwarning = show
    try:
        yield texts
    finally:
        if warnings.showwarning is show:  # else somebody else has put another one in its place
            warnings.showwarning = usual
