"""`netslim push` and `netslim.load("hf://...")`, with a server on this machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from local_hub import LocalHub
from safetensors.torch import save

import netslim
from netslim.core.errors import ArgumentError, CheckpointError, NetslimError
from netslim.stages.push import run as push
from netslim.stages.push.config import PushConfig


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with LocalHub() as server:
        server.use(tmp_path / "cache", monkeypatch)
        yield server


def test_a_pruned_network_to_the_hub_and_back(hub: LocalHub, pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = push.run(PushConfig(model=pruned, to="me/small", license="mit", private=True, yes=True))
    assert done["sent"] == f"{hub.url}/me/small"
    assert sorted(hub.repositories["me/small"]) == ["README.md", "config.json", "model.safetensors"]
    assert hub.private == ["me/small"]
    assert "netslim.load('hf://me/small') opens it" in capsys.readouterr().out
    image = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert netslim.load("hf://me/small")(image).equal(netslim.load(pruned / "pruned.pth.tar")(image))


def test_without_the_word_nothing_is_sent(hub: LocalHub, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = push.run(PushConfig(model=trained, to="me/net"))
    assert done["sent"] is None
    assert hub.repositories == {}
    out = capsys.readouterr().out
    assert "nothing was sent; with `yes=True` these go to me/net: README.md (" in out
    assert "library_name: netslim" in out


def test_without_a_network_what_was_fetched_before(hub: LocalHub, trained: Path) -> None:
    push.run(PushConfig(model=trained, to="me/net", yes=True))
    first = netslim.load("hf://me/net")
    hub.shutdown()
    hub.server_close()
    again = netslim.load("hf://me/net").state_dict()
    assert all(value.equal(again[name]) for name, value in first.state_dict().items())


def test_what_the_hub_does_not_have(hub: LocalHub) -> None:
    host = hub.url.removeprefix("http://")
    with pytest.raises(CheckpointError, match=rf"^hf://me/none can't be had from {host}: HTTP 404 Not Found$"):
        netslim.load("hf://me/none")


def test_a_hub_that_refuses(hub: LocalHub, trained: Path) -> None:
    hub.refuses = 401
    expected = r"did not take me/net: HTTP 401 Unauthorized; type hf auth login, or set HF_TOKEN to a token that may do"
    with pytest.raises(NetslimError, match=expected):
        push.run(PushConfig(model=trained, to="me/net", yes=True))


def test_another_network_s_repository(hub: LocalHub) -> None:
    weights = save({"weight": torch.zeros(2)})
    hub.repositories["me/other"] = {"config.json": b'{"model_type": "bert"}', "model.safetensors": weights}
    with pytest.raises(CheckpointError, match="these weights fit no architecture that netslim knows"):
        netslim.load("hf://me/other")


@pytest.mark.parametrize("name", ["small", "me/", "a/b/c", "me/small@x"])
def test_no_name_of_a_repository(name: str, trained: Path) -> None:
    with pytest.raises(ArgumentError, match=rf"^`to='{name}'`: type user/name$"):
        push.run(PushConfig(model=trained, to=name))


def test_a_folder_without_a_network(tmp_path: Path) -> None:
    expected = "is a folder without a network: give a checkpoint, or the folder of a finished run$"
    with pytest.raises(CheckpointError, match=expected):
        push.run(PushConfig(model=tmp_path, to="me/small"))


def test_a_folder_of_slim_is_its_small_network_with_what_its_step_recorded(
    hub: LocalHub, pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pruned, tmp_path / "run" / "02-prune")
    shutil.copyfile(pruned / "pruned.pth.tar", tmp_path / "run" / "small.pth.tar")
    push.run(PushConfig(model=pruned, to="me/small"))
    of_step = capsys.readouterr().out
    push.run(PushConfig(model=tmp_path / "run", to="me/small"))
    assert capsys.readouterr().out == of_step
    assert hub.repositories == {}
