from pathlib import Path

import pytest
from image_files import colour, save


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, two training images and one test image of each."""
    for label, name in enumerate(("ant", "bee")):
        for index in range(2):
            save(colour(value=(label * 100, index * 50, 7)), tmp_path / "train" / name / f"{index}.png")
        save(colour(value=(label * 100, 99, 7)), tmp_path / "test" / name / "0.png")
    return tmp_path
