"""Warnings are kept beside being shown."""

import warnings

import pytest

from netslim.core.errors import NetslimWarning
from netslim.core.runs.noticed import noticed


def warn_twice() -> list[str]:
    with noticed() as texts:
        warnings.warn("one\n thing", NetslimWarning, stacklevel=1)
        warnings.warn("something else", RuntimeWarning, stacklevel=1)
    return texts


def test_what_netslim_warns_of_is_kept_and_all_is_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert warn_twice() == ["one thing"]
    assert [str(each.message) for each in shown] == ["one\n thing", "something else"]


def test_afterwards_everything_is_as_before() -> None:
    before = warnings.showwarning
    with pytest.raises(KeyError), noticed():
        raise KeyError
    assert warnings.showwarning is before
