import pickle
from pathlib import Path

import pytest

from netslim.core.errors import (
    ArgumentError,
    CheckpointError,
    DataError,
    DivergedError,
    InterruptedRunError,
    NetslimError,
    UsageError,
    either,
    first_of,
    one_of,
    setting,
    unknown_name,
    with_article,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NetslimError("x"), 1),
        (CheckpointError("x"), 1),
        (DataError("x"), 1),
        (DivergedError("x"), 1),
        (UsageError("x"), 2),
        (InterruptedRunError("x", 2), 130),
        (InterruptedRunError("x", 15), 143),
    ],
)
def test_exit_codes_and_text(error: NetslimError, code: int) -> None:
    assert error.exit_code == code
    assert str(error) == "x"


def test_unknown_name_offers_the_nearest_and_lists_all() -> None:
    error = unknown_name("data set", "CIFAR-1O", ["digits", "cifar10", "cifar100"])
    assert isinstance(error, UsageError)
    assert str(error) == (
        "unknown data set 'CIFAR-1O'; did you mean cifar10 or cifar100? (known: cifar10, cifar100, digits)"
    )


def test_unknown_name_of_a_list_that_nobody_reads() -> None:
    names = [f"model{number}" for number in range(1200)]
    assert str(unknown_name("network", "model77x", names)) == (
        "unknown network 'model77x'; did you mean model77 or model977 or model877? (known: 1,200 names)"
    )


def test_unknown_name_without_a_near_one() -> None:
    assert str(unknown_name("criterion", "zzz", ["b", "a"])) == "unknown criterion 'zzz' (known: a, b)"


def test_unknown_name_where_there_are_none() -> None:
    assert str(unknown_name("published network", "x", [])) == "unknown published network 'x' (known: none)"


def test_one_of() -> None:
    assert one_of(["b", "a"]) == "b, a"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (-1, "`x=-1`"),
        (2.0, "`x=2.0`"),
        (None, "`x=None`"),
        (False, "`x=False`"),
        ("a b", "`x='a b'`"),
        (Path("runs/a"), "`x='runs/a'`"),
        ([1, 2], "`x=[1, 2]`"),
    ],
)
def test_settings_are_written_as_in_python(given: object, text: str) -> None:
    assert setting("x", given) == text


def test_an_argument_error_says_field_given_and_allowed_and_goes_from_process_to_process() -> None:
    error = ArgumentError("round_to", 0, "type 1 (any width), 8 or 16")
    assert str(error) == "`round_to=0`: type 1 (any width), 8 or 16"
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - what torch's object lists do
    assert (again.field, again.given, again.allowed, again.exit_code) == ("round_to", 0, error.allowed, 2)


def test_either() -> None:
    assert [either(["a"]), either(iter("ab")), either(["a", "b", "c"])] == ["a", "a or b", "a, b or c"]


def test_articles() -> None:
    names = ["EfficientNet", "inception_v3", "int", "MyNet", "UNet", ""]
    assert [*map(with_article, names)] == ["an EfficientNet", "an inception_v3", "an int", "a MyNet", "a UNet", "a "]


def test_first_of() -> None:
    assert first_of(["a", "b"], 2) == "a, b"
    assert first_of(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert first_of(["a", "b", "c"], 2, "; ") == "a; b; and 1 more"
