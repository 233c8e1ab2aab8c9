"""Every module has a test file at its own place, so that what fails is found by its name."""

from pathlib import Path, PurePosixPath

import netslim

SOURCE, TESTS = Path(netslim.__file__).parent, Path(__file__).parent
NO_TESTS_OF_THEIR_OWN = {"__init__.py", "__main__.py"}

# Modules that are tested at another place.
ELSEWHERE = {
    # a folder tests/stages/profile with an __init__.py would hide the standard library's `profile`
    "stages/profile/config.py": "stages/test_profile.py",
    "stages/profile/run.py": "stages/test_profile.py",
}


def test_every_module_has_a_test_file_at_its_place() -> None:
    modules = [path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")]
    assert set(ELSEWHERE) <= set(modules)
    lacking = []
    for module in modules:
        place = PurePosixPath(module)
        mirrored = ELSEWHERE.get(module, place.with_name(f"test_{place.name}").as_posix())
        if place.name not in NO_TESTS_OF_THEIR_OWN and not (TESTS / mirrored).is_file():
            lacking.append(f"{module}: write tests/{mirrored}")
    assert not lacking, "\n".join(sorted(lacking))
