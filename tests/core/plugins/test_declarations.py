"""What is read from the source of plug-ins, and what is not."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from netslim.core.config import StageConfig, with_options
from netslim.core.errors import UsageError
from netslim.core.plugins import declarations as plugins
from netslim.core.plugins.declarations import Kind, Option
from netslim.core.plugins.registry import Registry

SOURCE = """
raise ImportError("this file is read, not run")
ANIMALS.register("ant")(
    Animal(legs=6, sizes=("s", "m"), walk=walk, options=(Option(name="speed", default=1.5, help="m/s"),))
)
zoo.ANIMALS.register("bee")(Animal(legs=3 + 3))
PLANTS.register("fern")(Plant(leaves=9))


@ANIMALS.register("cat")
def cat():
    ANIMALS.register("inside")
"""


@pytest.fixture
def animals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Kind:
    root = tmp_path / f"zoo_{request.node.name}"
    (root / "animals").mkdir(parents=True)
    (root / "__init__.py").touch()
    (root / "animals" / "some.py").write_text(SOURCE)
    (root / "animals" / "wrong.py").write_text("ANIMALS.register(")
    monkeypatch.syspath_prepend(tmp_path)
    return Kind("ANIMALS", f"{root.name}.animals")


def test_names_and_literals_are_read_and_nothing_is_run(animals: Kind) -> None:
    speed = Option(name="speed", default=1.5, help="m/s")
    assert animals.declared() == {
        "ant": {"legs": 6, "sizes": ("s", "m"), "options": (speed,)},
        "bee": {},
        "cat": {},
    }
    assert animals.names() == ["ant", "bee", "cat"]
    assert animals.options() == {"ant": (speed,), "bee": (), "cat": ()}


def test_names_of_netslims_own_are_taken_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room = tmp_path / "room_of_ants"
    room.mkdir()
    (room / "__init__.py").write_text(
        "from netslim.core.plugins.registry import Registry\nROOM = Registry('ant', __name__)\n"
    )
    (room / "red.py").write_text("from room_of_ants import ROOM\nROOM.register('red')('ours')\n")
    (tmp_path / "other_ants.py").write_text("from room_of_ants import ROOM\nROOM.register('red')('theirs')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "outside", lambda: [EntryPoint("other", "other_ants", plugins.GROUP)])
    plugins.load_outside.cache_clear()
    other: Registry[str] = Registry("number", "netslim.core")
    assert other.names() == []  # any look-up loads them
    assert capsys.readouterr().err == (
        "netslim: warning: plug-in 'other' is left out, its module other_ants can't be imported (ValueError: ant 'red' "
        "is registered twice); repair or uninstall it\n"
    )
    from room_of_ants import ROOM  # type: ignore[import-not-found]

    assert ROOM.get("red") == "ours"


class Walk(StageConfig):
    """A walk."""

    far: int = 1


def test_options_become_settings_with_limits() -> None:
    made = with_options({"ant": [Option(name="speed", default=1.5, help="m/s", gt=0)]}, "animal")(Walk)
    assert made.build({"far": 2}).model_dump() == {"far": 2, "speed": 1.5}
    assert made.model_fields["speed"].description == "animal ant: m/s"
    assert made.option_defaults() == {"speed": 1.5}
    with pytest.raises(UsageError, match=r"^`speed=0`: input should be greater than 0$"):
        made.build({"speed": 0})


def test_an_option_that_is_a_setting_already() -> None:
    with pytest.raises(ValueError, match=r"^animal ant brings the setting 'far', which there is: rename it$"):
        with_options({"ant": [Option(name="far", default=1, help="")]}, "animal")(Walk)
