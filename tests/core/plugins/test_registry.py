from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.core.plugins.registry import Registry

PACKAGE = "from netslim.core.plugins.registry import Registry\nREGISTRY = Registry('animal', __name__)\n"
PLUGIN = "from {package} import REGISTRY\nREGISTRY.register('{name}')('I am a {name}')\n"


def make_package(folder: Path, name: str, *plugins: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(PACKAGE)
    for plugin in plugins:
        (folder / name / f"{plugin}_file.py").write_text(PLUGIN.format(package=name, name=plugin))


def test_a_file_in_the_package_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_package(tmp_path, "zoo_of_two", "zebra", "ant")
    monkeypatch.syspath_prepend(tmp_path)
    registry: Registry[str] = Registry("animal", "zoo_of_two")
    from zoo_of_two import REGISTRY  # type: ignore[import-not-found]

    assert REGISTRY._entries == {}  # nothing is imported before the first look-up
    assert REGISTRY.names() == ["ant", "zebra"]
    assert REGISTRY.get("ant") == "I am a ant"
    assert registry.names() == []  # each registry has its own entries


def test_an_unknown_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_package(tmp_path, "zoo_of_one", "zebra")
    monkeypatch.syspath_prepend(tmp_path)
    from zoo_of_one import REGISTRY  # type: ignore[import-not-found]

    with pytest.raises(UsageError, match=r"^unknown animal 'zebbra'; did you mean zebra\? \(known: zebra\)$"):
        REGISTRY.get("zebbra")


def test_a_name_is_taken_once() -> None:
    registry: Registry[int] = Registry("number", "netslim.core")
    assert registry.register("one")(1) == 1
    with pytest.raises(ValueError, match=r"number 'one' is registered twice"):
        registry.register("one")(1)
    assert registry.get("one") == 1


def test_a_broken_plug_in_shows_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_package(tmp_path, "zoo_with_a_hole")
    (tmp_path / "zoo_with_a_hole" / "broken.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    from zoo_with_a_hole import REGISTRY  # type: ignore[import-not-found]

    with pytest.raises(ModuleNotFoundError, match=r"no_such_module_anywhere"):
        REGISTRY.names()
