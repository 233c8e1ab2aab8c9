"""One option per field of a configuration."""

import inspect
from pathlib import Path

import pytest

from netslim.cli.options import command
from netslim.core.config import Setting, StageConfig
from netslim.core.errors import UsageError


class Small(StageConfig):
    """Settings of a test."""

    model: Path = Setting(..., "the file")
    epochs: int = Setting(3, "how long", ge=1)
    fast: bool = Setting(False, "whether")


def built(**given: object) -> StageConfig:
    """The configuration that a command line gives."""
    found: list[StageConfig] = []
    run = command(Small, lambda build, json_file, debug, config_file: found.append(build()), ("model",))
    rest: dict[str, object] = {"config": None, "set_": None, "json_file": None, "debug": False}
    run(**{"model": None, "epochs": None, "fast": None, **rest, **given})
    return found[0]


def test_parameters_are_the_fields_and_four_more() -> None:
    parameters = inspect.signature(command(Small, lambda *_: None, ("model",))).parameters
    assert list(parameters) == ["model", "epochs", "fast", "config", "set_", "json_file", "debug"]
    epochs, fast = (parameters[name].annotation.__metadata__[0] for name in ("epochs", "fast"))
    assert (epochs.default, epochs.help) == ("--epochs", "how long [default: 3]")  # typer's place for the first word
    assert (fast.default, fast.help) == ("--fast/--no-fast", "whether")


def test_what_is_not_given_has_its_default(tmp_path: Path) -> None:
    assert built(model=tmp_path).model_dump() == {"model": tmp_path, "epochs": 3, "fast": False}


def test_an_assignment_by_name(tmp_path: Path) -> None:
    assert built(model=tmp_path, set_=["epochs=5"]).model_dump()["epochs"] == 5


def test_a_missing_argument() -> None:
    with pytest.raises(UsageError, match=r"^MODEL is required: name a checkpoint file$"):
        built()
