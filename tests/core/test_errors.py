import pytest

from netslim.core.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    InterruptedRunError,
    NetslimError,
    UsageError,
    one_of,
    unknown_name,
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


def test_one_of() -> None:
    assert one_of(["b", "a"]) == "b, a"
