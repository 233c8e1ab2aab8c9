"""Networks at the Hugging Face hub: folders of two files, fetched through its own cache, and sent.

The hub's package takes a second to import, so that happens when it is used. Its own variables hold: HF_TOKEN,
HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http.client import responses
from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from netslim.core.download import PATIENCE, answer
from netslim.core.errors import ArgumentError, CheckpointError, NetslimError
from netslim.core.safetensors_folder import CONFIG, WEIGHTS

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SCHEME = "hf:"
CONNECT_SECONDS = 10.0  # per request and address of the hub
_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


@dataclass(frozen=True)
class HubAddress:
    """A repository of networks at the hub, and a branch, tag or commit of it."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf://{self.repository}{f'@{self.revision}' if self.revision else ''}"


def check_repository(name: str) -> None:
    """Raises ArgumentError if a repository to send to is no `user/name`."""
    if not _NAME.fullmatch(name):
        raise ArgumentError("to", name, "type user/name")


def is_at_hub(path: str | Path) -> bool:
    """Whether a path is an address at the hub; `Path` makes one slash of two."""
    return str(path).startswith(f"{SCHEME}/")


def address_of(path: str | Path) -> HubAddress:
    """`hf://user/name` or `hf://user/name@revision`. Raises ArgumentError if it is neither."""
    repository, _, revision = str(path).removeprefix(SCHEME).lstrip("/").partition("@")
    if not _NAME.fullmatch(repository):
        raise ArgumentError("path", str(path), "type hf://user/name, or hf://user/name@revision")
    return HubAddress(repository, revision or None)


def fetch_folder(address: HubAddress) -> Path:
    """The folder with a network's two files, in the hub's cache; as it is there where the hub can't be reached.

    Raises:
        CheckpointError: the hub has no such network, or can't be reached and the cache has none.
    """
    api = _api()
    wanted: dict[str, Any] = {"revision": address.revision, "allow_patterns": [CONFIG, WEIGHTS]}
    try:
        answer(lambda: api.model_info(address.repository, revision=address.revision, timeout=CONNECT_SECONDS), PATIENCE)
        return Path(api.snapshot_download(address.repository, **wanted))
    except Exception as error:  # the hub's transport, and with it the class of its errors, changes between versions
        try:
            if status_of(error) is None:
                return Path(api.snapshot_download(address.repository, local_files_only=True, **wanted))
        except Exception:  # it is not in the cache either  # noqa: S110
            pass
        raise CheckpointError(f"{address} can't be had from {_host(api)}: {in_words(error)}{_advice(error)}") from error


def send_folder(folder: Path, repository: str, *, private: bool, message: str) -> str:
    """Sends all files of a folder to a repository, which is made if need be. Returns its address.

    Raises:
        NetslimError: the hub refuses, or can't be reached.
    """
    api = _api()
    try:
        answer(lambda: api.create_repo(repository, private=private, exist_ok=True), PATIENCE)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    except Exception as error:  # as above
        raise NetslimError(f"{_host(api)} did not take {repository}: {in_words(error)}{_advice(error)}") from error
    return f"{api.endpoint}/{repository}"


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error of the hub's package came with."""
    status: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return status


def in_words(error: BaseException) -> str:
    """What went wrong, of an error of the hub's package that may only wrap what did."""
    status = status_of(error)
    if status is not None:
        return f"HTTP {status} {responses.get(status, '')}".rstrip()
    if isinstance(error, KeyError | JSONDecodeError):
        return "what it answers is not what a hub says"
    chain = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    said = (found.strerror for found in reversed(chain) if isinstance(found, OSError) and found.strerror)
    text = str(next(said, error)).partition("\n")[0].strip()
    return text or type(error).__name__


def _advice(error: BaseException) -> str:
    if status_of(error) in (401, 403):
        return "; type hf auth login, or set HF_TOKEN to a token that may do this"
    return "" if status_of(error) else "; HF_ENDPOINT names a mirror of it"


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi()


def _host(api: HfApi) -> str:
    return urlsplit(str(api.endpoint)).netloc
