"""Tests of what works with another package where that is installed."""

from importlib.util import find_spec

import pytest


def needs(package: str) -> None:
    """Skips a test, or a file of them, without it.

    Nothing is imported: OpenVINO's import starts a thread, and submitit's closes the handlers of all logs, unless
    netslim imports them.
    """
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)
