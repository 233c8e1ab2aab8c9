"""Where settings come from: defaults < config file < `--set` < flags."""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from netslim.core.errors import UsageError
from netslim.core.files import read_text

LARGEST_FILE = 2**20  # bytes of a configuration


def merge(config_file: Path | None, assignments: Sequence[str], flags: Mapping[str, Any]) -> dict[str, Any]:
    """Config file, then `key=value` assignments, then flags: the later wins, but of assignments among themselves.

    Raises:
        UsageError: the file can't be read or is not TOML, an assignment has no `=`, or two are of one setting.
    """
    values = _read_toml(config_file) if config_file else {}
    assigned: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set takes key=value, got '{assignment}'; type for example --set lr=0.05")
        name = _name(key)
        if name in assigned:
            raise UsageError(f"--set {assignment}: {name} is set already; leave one of the two out")
        assigned[name] = _value(text.strip())
    return values | assigned | dict(flags)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(read_text(path, LARGEST_FILE))
    except OSError as error:
        raise UsageError(f"cannot read the config file {path}: {error.strerror}") from error
    except RecursionError as error:
        raise UsageError(f"{path} is nested too deep") from error
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, a number with too many digits
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    return {_name(key): value for key, value in data.items()}


def _name(key: str) -> str:
    """As settings are called in Python; the names of steps in a recipe (`my-step.percent`) stay as they are."""
    step, dot, setting = key.strip().rpartition(".")
    return f"{step}{dot}{setting.replace('-', '_')}"


def _value(text: str) -> Any:
    """TOML's reading of a value where it has one (`0.1`, `true`), else the text itself: so are dates, of which no
    setting is one but which name folders."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, date | time) else value
