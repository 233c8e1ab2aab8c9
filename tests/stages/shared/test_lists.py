import re

import pytest

from netslim.core.errors import ArgumentError
from netslim.stages.shared.lists import listed, pixel_numbers, with_spaces


def test_spaces_around_commas_do_not_count() -> None:
    assert listed(" eager, onnxruntime ,openvino") == ["eager", "onnxruntime", "openvino"]


def test_a_number_for_each_channel() -> None:
    assert pixel_numbers("mean", None, 0.0, 2) == (0.0, 0.0)
    assert pixel_numbers("mean", "0", 1.0, 2) == (0.0, 0.0)
    assert pixel_numbers("std", ".5, 0.25", 1.0, 2) == (0.5, 0.25)
    assert with_spaces((0.5, 0.25)) == "0.5 0.25"


@pytest.mark.parametrize("name", ["mean", "std"])
@pytest.mark.parametrize("text", ["nan", "inf,1", "-inf", "1,2,3", "a", ""])
def test_what_is_no_number_for_each_channel(name: str, text: str) -> None:
    message = f"`{name}='{text}'`: type 2 numbers with commas between, of pixels scaled to 0..1"
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        pixel_numbers(name, text, 0.0, 2)


def test_nothing_is_divided_by_zero() -> None:
    with pytest.raises(ArgumentError, match=r"^`std='1,0'`: type 2 numbers"):
        pixel_numbers("std", "1,0", 1.0, 2)
