from typing import Any

import pytest

from netslim.stages.info.table import of_images, print_facts


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            {"mean": [0.4914, 0.5], "std": [0.25, 0.2], "class_names": ["a", "b"], "name": "folder"},
            {"mean": [0.4914, 0.5], "std": [0.25, 0.2], "class names": 2},
        ),
        ({"name": "mine", "class_names": []}, {}),
        (None, {}),
        ({"mean": "much"}, {}),
        ([1], {}),
    ],
)
def test_images_as_far_as_a_file_says(said: Any, found: dict[str, Any]) -> None:
    assert of_images(said) == found


def test_numbers_as_people_read_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts({"params": 1234567, "mean": [0.49139968, 1 / 3]})
    out = capsys.readouterr().out
    assert "1,234,567" in out
    assert "0.4914, 0.3333" in out
