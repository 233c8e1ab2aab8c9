"""Integrations whose library is not installed, and names that there are none of."""

import subprocess
import sys
from pathlib import Path

import pytest

import netslim.integrations
from fresh_python import FreshPython

WITHOUT = """
import sys
sys.modules["lightning"] = sys.modules["transformers"] = None
import netslim.integrations
for name in ("NetworkSlimming", "rebuild_", "TrainerSlimming"):
    try:
        getattr(netslim.integrations, name)
    except ImportError as error:
        print(type(error).__mro__[1].__name__, error, sep=": ")
"""


def test_a_library_that_is_missing_is_named_with_what_to_type(fresh_python: FreshPython, tmp_path: Path) -> None:
    assert fresh_python(WITHOUT, folder=tmp_path).stdout.splitlines() == [
        f"UsageError: {library} is not installed: type pip install 'netslim[integrations]', or {library} alone"
        for library in ("lightning", "lightning", "transformers")
    ]


def test_the_names() -> None:
    assert set(netslim.integrations.__all__) <= set(dir(netslim.integrations))
    with pytest.raises(AttributeError, match=r"^module 'netslim\.integrations' has no attribute 'Slimming'$"):
        netslim.integrations.Slimming  # noqa: B018


def test_importing_the_room_imports_no_library() -> None:
    heavy = ("torch", "lightning", "transformers")
    script = f"import sys, netslim.integrations; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout == "[]\n"
