"""Addresses at the hub, and what its errors say in words; fetching and sending are in `tests/stages/push`."""

from json import JSONDecodeError
from pathlib import Path
from types import SimpleNamespace

import pytest

from netslim.core.errors import ArgumentError
from netslim.core.hub import HubAddress, address_of, check_repository, in_words, is_at_hub


@pytest.mark.parametrize("path", ["hf://me/small", Path("hf://me/small")])
def test_an_address_as_a_text_and_as_a_path(path: str | Path) -> None:
    assert is_at_hub(path)
    assert address_of(path) == HubAddress("me/small")
    assert str(address_of(path)) == "hf://me/small"


def test_a_revision() -> None:
    assert address_of("hf://me/small@v1.0") == HubAddress("me/small", "v1.0")
    assert str(address_of("hf://me/small@v1.0")) == "hf://me/small@v1.0"


@pytest.mark.parametrize("path", ["runs/hf/x", "small.pth.tar", "hf"])
def test_a_file_is_no_address(path: str) -> None:
    assert not is_at_hub(path)


@pytest.mark.parametrize("path", ["hf://small", "hf://a/b/c", "hf://a b/c", "hf://"])
def test_what_is_no_address(path: str) -> None:
    with pytest.raises(ArgumentError, match="type hf://user/name, or hf://user/name@revision"):
        address_of(path)


def test_a_repository_to_send_to() -> None:
    check_repository("me/small.v2")
    with pytest.raises(ArgumentError, match=r"^`to='me/small@v1'`: type user/name$"):
        check_repository("me/small@v1")
    with pytest.raises(ArgumentError, match="type user/name"):
        check_repository("../small")


def test_errors_in_words() -> None:
    refused = RuntimeError("long")
    refused.response = SimpleNamespace(status_code=403)  # type: ignore[attr-defined]
    assert in_words(refused) == "HTTP 403 Forbidden"
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = OSError(111, "Connection refused")
    assert in_words(wrapped) == "Connection refused"
    assert in_words(ValueError()) == "ValueError"
    assert in_words(KeyError("url")) == in_words(JSONDecodeError("Expecting value", "", 0))
