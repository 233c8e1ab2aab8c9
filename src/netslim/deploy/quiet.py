"""Other packages at work, without what they say of themselves, and to whom."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

_TELEMETRY = "openvino_telemetry"


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is logged, nothing warned of, and OpenVINO, if it is imported here, sends its makers nothing.

    Its import starts a thread that tells them of it, unless that package is missing.
    """
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    missing = sys.modules.setdefault(_TELEMETRY, cast(ModuleType, None)) is None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        if missing:
            del sys.modules[_TELEMETRY]
