"""Names, caches and downloads of source networks. Nothing leaves this machine: hubs are folders and local servers."""

import functools
import http.server
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor

from netslim.core.errors import CheckpointError, UsageError
from netslim.core.files import file_hash
from netslim.models.libraries import timm as timm_library
from netslim.models.libraries import torchvision as torchvision_library
from netslim.models.library_names import check_resnet
from netslim.transfers import load_source

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both hubs point to empty folders and to an address where nobody listens."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", UNREACHABLE)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{UNREACHABLE}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a web server and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}", folder
        httpd.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Writes no log."""


def message(error: type[Exception], source: str, name: str, **options: object) -> str:
    with pytest.raises(error) as caught:
        load_source(source, name, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def no_resnet(library: str, name: str) -> str:
    """What is said where only a ResNet's weights have a place."""
    with pytest.raises(UsageError) as caught:
        check_resnet(library, name, "`model_name='resnet50'`")
    return str(caught.value)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
@pytest.mark.parametrize("library", [torchvision_library, timm_library])
def test_the_guides_networks_are_known(library: object, name: str) -> None:
    assert name in library.resnets()  # type: ignore[attr-defined]


def test_an_unknown_library() -> None:
    expected = "unknown source 'torchvison'; did you mean torchvision? (known: timm, torchvision)"
    assert message(UsageError, "torchvison", "resnet50") == expected


def test_an_unknown_torchvision_model() -> None:
    assert message(UsageError, "torchvision", "resnet51").startswith(
        "unknown torchvision network 'resnet51'; did you mean resnet50 or resnet18 or resnet152? (known: alexnet, "
    )


def test_an_unknown_timm_model() -> None:
    found = message(UsageError, "timm", "resnt50")
    assert found.startswith("unknown timm network 'resnt50'; did you mean resnet50 or ")


@pytest.mark.parametrize(
    ("library", "name", "families"),
    [
        ("torchvision", "vgg16", "resnet, resnext, wide_resnet"),
        ("timm", "vit_base_patch16_224", "resnet, resnext, wide_resnet, resnetaa, resnetblur, resnetrs, seresnet, "),
    ],
)
def test_a_model_that_is_no_resnet(library: str, name: str, families: str) -> None:
    found = no_resnet(library, name)
    assert found.startswith(
        f"{library} model '{name}' is not a ResNet that netslim knows: the families that work are {families}"
    )
    assert found.endswith("(for example `model_name='resnet50'`)")


@pytest.mark.parametrize(
    "name", ["resnet50_gn", "resnetv2_50x1_bit", "resnetv2_50d_evos", "resnetv2_50d_frn.untrained"]
)
def test_a_resnet_without_batchnorm(name: str) -> None:
    assert no_resnet("timm", name.partition(".")[0]) == (
        f"timm model '{name.partition('.')[0]}' has no BatchNorm, whose scales say which channels can go: the families "
        "that work are resnet, resnext, wide_resnet, resnetaa, resnetblur, resnetrs, seresnet, ecaresnet, senet, "
        "resnetv2, legacy_seresnet (for example `model_name='resnet50'`)"
    )


@pytest.mark.parametrize("name", ["resnetv2_18", "resnetv2_18d", "legacy_seresnet18"])
def test_pre_activation_and_legacy_networks_are_sources(name: str) -> None:
    assert load_source("timm", name, pretrained=False).model_name == name


@pytest.mark.parametrize("name", ["resnetv2_18", "legacy_seresnet18"])
def test_a_file_with_another_head_fits_whatever_the_head_is_called(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(timm.create_model(name, pretrained=False, num_classes=5).state_dict(), tmp_path / "w.pth")
    assert load_source("timm", name, weights=tmp_path / "w.pth").pretrained


def test_without_pretrained_weights_nothing_is_fetched() -> None:
    source = load_source("torchvision", "wide_resnet50_2", pretrained=False)
    assert (source.pretrained, source.origin, source.weights_sha256) == (False, "random initialisation", None)
    assert source.state_dict["layer1.0.conv2.weight"].shape == (128, 128, 3, 3)


def test_the_random_initialisation_follows_the_seed() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(load_source("timm", "resnet18", pretrained=False).state_dict["conv1.weight"])
    assert torch.equal(*states)


# torchvision: torch hub's folder, and files named after their hash


@pytest.fixture
def hashed_name(resnet18_file: Path) -> str:
    return f"resnet18-{file_hash(resnet18_file)[:8]}.pth"


def point_torchvision_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_library, "default_url", lambda name: url)


def torch_cache(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "torch/hub/checkpoints" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("name", torchvision_library.resnets())
def test_every_torchvision_resnet_has_weights_named_after_their_hash(name: str) -> None:
    assert re.search(r"/[a-z0-9_]+-[0-9a-f]{8}\.pth$", torchvision_library.default_url(name))


def test_torchvision_offline_says_what_to_download_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{UNREACHABLE}/models/resnet18-f37072fd.pth"
    point_torchvision_at(url, monkeypatch)
    start = time.monotonic()
    found = message(CheckpointError, "torchvision", "resnet18")
    assert time.monotonic() - start < 10
    assert found == (
        "cannot get pretrained weights of torchvision resnet18: could not download resnet18-f37072fd.pth "
        f"(127.0.0.1:9: Connection refused); download {url} where there is a network and put it at "
        f"{tmp_path / 'torch/hub/checkpoints/resnet18-f37072fd.pth'}, or pass it with `weights=FILE`, "
        "or start without it with `pretrained=False`"
    )


def test_torchvision_takes_a_cached_file_whose_hash_fits(
    resnet18: dict[str, Tensor], resnet18_file: Path, hashed_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{UNREACHABLE}/{hashed_name}"
    point_torchvision_at(url, monkeypatch)
    shutil.copyfile(resnet18_file, torch_cache(tmp_path, hashed_name))
    source = load_source("torchvision", "resnet18")
    assert torch.equal(source.state_dict["conv1.weight"], resnet18["conv1.weight"])
    assert (source.pretrained, source.origin) == (True, url)
    assert source.weights_sha256 == file_hash(resnet18_file)


def test_torchvision_refuses_a_cached_file_whose_hash_does_not_fit(
    resnet18_file: Path, hashed_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_torchvision_at(f"{UNREACHABLE}/{hashed_name}", monkeypatch)
    damaged = bytearray(resnet18_file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    torch_cache(tmp_path, hashed_name).write_bytes(damaged)
    expected = (
        f"{torch_cache(tmp_path, hashed_name)} does not have the SHA-256 that its name says: delete it and try again"
    )
    assert message(CheckpointError, "torchvision", "resnet18") == expected


def test_torchvision_downloads_once(
    server: tuple[str, Path], resnet18_file: Path, hashed_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    shutil.copyfile(resnet18_file, folder / hashed_name)
    point_torchvision_at(f"{address}/{hashed_name}", monkeypatch)
    source = load_source("torchvision", "resnet18")
    assert source.weights_sha256 == file_hash(resnet18_file)
    (folder / hashed_name).unlink()
    assert load_source("torchvision", "resnet18").weights_sha256 == source.weights_sha256
    assert torch_cache(tmp_path, hashed_name).is_file()


def test_torchvision_refuses_a_download_whose_hash_does_not_fit(
    server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    (folder / "resnet18-00000000.pth").write_bytes(b"something else")
    point_torchvision_at(f"{address}/resnet18-00000000.pth", monkeypatch)
    assert "served a file with another hash); download" in message(CheckpointError, "torchvision", "resnet18")
    assert not torch_cache(tmp_path, "resnet18-00000000.pth").exists()


# timm: the hub's folder, where files are named by their SHA-256 and linked to from snapshots


def put_in_hub_cache(file: Path, cache: Path, repository: str, digest: str) -> Path:
    root = cache / f"models--{repository.replace('/', '--')}"
    for folder in ("refs", "blobs", "snapshots/0123abc"):
        (root / folder).mkdir(parents=True)
    (root / "refs/main").write_text("0123abc")
    shutil.copyfile(file, root / "blobs" / digest)
    (root / "snapshots/0123abc/model.safetensors").symlink_to(root / "blobs" / digest)
    return root / "blobs" / digest


@pytest.fixture
def safe_file(resnet18: dict[str, Tensor], tmp_path: Path) -> Path:
    save_file(resnet18, tmp_path / "resnet18.safetensors")
    return tmp_path / "resnet18.safetensors"


@pytest.mark.parametrize("offline", [True, False])
def test_timm_offline_says_what_to_download(offline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    start = time.monotonic()
    found = message(CheckpointError, "timm", "resnet18")
    assert time.monotonic() - start < 10
    assert found.startswith("cannot get pretrained weights of timm resnet18: ")
    assert found.endswith(
        f"; download {UNREACHABLE}/timm/resnet18.a1_in1k/resolve/main/model.safetensors where there is a network and "
        f"copy that machine's models--timm--resnet18.a1_in1k folder into {tmp_path / 'hub'}, "
        "or pass it with `weights=FILE`, or start without it with `pretrained=False`"
    )


def point_timm_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )


def test_timm_says_who_refused(capsys: pytest.CaptureFixture[str]) -> None:
    found = message(CheckpointError, "timm", "resnet18")
    assert found.startswith(
        "cannot get pretrained weights of timm resnet18: 127.0.0.1:9: Connection refused; download "
    )
    assert capsys.readouterr().err == "asking 127.0.0.1:9 for model.safetensors of timm/resnet18.a1_in1k\n"


def test_timm_says_what_the_hub_answered(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    point_timm_at(server[0], monkeypatch)
    host = server[0].removeprefix("http://")
    found = message(CheckpointError, "timm", "resnet18")
    assert found.startswith(f"cannot get pretrained weights of timm resnet18: {host}: HTTP 404 Not Found; download ")


def test_timm_does_not_wait_for_a_hub_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm_library, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        point_timm_at(f"http://{host}", monkeypatch)
        found = message(CheckpointError, "timm", "resnet18")
    assert found.startswith(f"cannot get pretrained weights of timm resnet18: {host}: no answer within 0.2 seconds; ")


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k"])
def test_timm_takes_the_hubs_cached_file(
    name: str, resnet18: dict[str, Tensor], safe_file: Path, tmp_path: Path
) -> None:
    put_in_hub_cache(safe_file, tmp_path / "hub", "timm/resnet18.a1_in1k", file_hash(safe_file))
    source = load_source("timm", name)
    assert torch.equal(source.state_dict["fc.weight"], resnet18["fc.weight"])
    assert source.origin == f"{UNREACHABLE}/timm/resnet18.a1_in1k/resolve/main/model.safetensors"
    assert (source.model_name, source.weights_sha256) == (name, file_hash(safe_file))


def test_timm_refuses_a_cached_file_whose_hash_does_not_fit(safe_file: Path, tmp_path: Path) -> None:
    blob = put_in_hub_cache(safe_file, tmp_path / "hub", "timm/resnet18.a1_in1k", "0" * 64)
    expected = f"{blob} does not have the SHA-256 that its name says: delete it and try again"
    assert message(CheckpointError, "timm", "resnet18") == expected


def test_timm_names_the_tags_it_has() -> None:
    found = message(UsageError, "timm", "resnet18.a9")
    assert found.startswith("timm has no weights called 'resnet18.a9' (known: resnet18.a1_in1k, ")


def test_timm_says_when_a_network_was_never_trained() -> None:
    expected = "timm has no pretrained weights for 'resnet200': pass `weights=FILE` or `pretrained=False`"
    assert message(UsageError, "timm", "resnet200") == expected


def test_a_safetensors_file_is_put_into_network_order(tmp_path: Path) -> None:
    network = timm.create_model("resnet14t")
    save_file(dict(network.state_dict()), tmp_path / "w.safetensors")
    source = load_source("timm", "resnet14t", weights=tmp_path / "w.safetensors")
    assert list(source.state_dict) == list(network.state_dict())
