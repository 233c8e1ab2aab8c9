import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

import netslim
from netslim.core.errors import CheckpointError, UsageError
from netslim.network import describe, read
from netslim.stages.shared.networks import arguments_of, loader, name_of, new_network, open_network, sound_network

NETS = """
from torch import nn

def small(width=4):
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Conv2d(width, 2, 3))
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETS)
    return "nets.py:small"


def test_a_pruned_network_of_own_code_comes_back_with_its_arguments(nets: str) -> None:
    model = new_network(nets, ["width=9"])
    small = netslim.apply(model, netslim.plan(model, torch.zeros(2, 1, 8, 8), percent=0.5, criterion="l1_norm"))
    netslim.save("small.pth.tar", small)
    found = loader(nets, [])(Path("small.pth.tar"))
    assert (name_of(found), arguments_of(found), found[0].out_channels) == (nets, {"width": 9}, small[0].out_channels)
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(found(images), small.eval()(images))
    assert pickle.loads(pickle.dumps(loader(nets, [])))(Path("small.pth.tar"))(images).shape == (2, 2, 4, 4)  # noqa: S301


def test_a_network_that_was_saved_from_python_is_opened_by_a_reference_too(nets: str) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3))
    assert describe(model).arch is None
    netslim.save("net.pth.tar", model)
    found = open_network(read(Path("net.pth.tar")), Path("net.pth.tar"), nets, [])
    assert torch.equal(found[0].weight, model[0].weight)


def test_code_that_was_not_named_and_a_name_that_does_not_apply(tmp_path: Path) -> None:
    path = tmp_path / "own.pth.tar"
    netslim.save(path, type("Efficient", (nn.Sequential,), {})(nn.Conv2d(3, 4, 3)))
    said = (
        f"{path} holds an Efficient, which netslim can't build by itself: name its code by `arch='FILE.py:NAME'`, or "
    )
    with pytest.raises(CheckpointError) as error:
        open_network(read(path), path, None, [])
    assert str(error.value).startswith(said)
    with pytest.raises(CheckpointError) as error:
        open_network(read(path), path, "resnet", [])
    assert str(error.value).startswith(said)
    assert str(error.value).endswith("; `arch='resnet'` is no code of your own and does not apply")


def test_a_network_of_netslims_own_is_not_code_of_the_users(nets: str) -> None:
    netslim.save("net.pth.tar", netslim.create_model("resnet", depth=11, num_classes=2))
    checkpoint = read(Path("net.pth.tar"))
    assert name_of(open_network(checkpoint, Path("net.pth.tar"), "resnet", [])) == "resnet"
    with pytest.raises(CheckpointError, match="holds a resnet, which is not code of your own: leave `arch` out"):
        open_network(checkpoint, Path("net.pth.tar"), nets, [])


def test_settings_of_registered_networks_are_not_for_own_ones(nets: str) -> None:
    with pytest.raises(UsageError, match=r"`stem='cifar'`: nets.py:small is code of your own: type `arch_args="):
        new_network(nets, [], stem="cifar")
    with pytest.raises(UsageError, match=r"only code of your own takes them: type `arch='FILE.py:NAME'`"):
        new_network("resnet", ["depth=11"])


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("0.weight", float("nan"), "'0.weight' has numbers that are not finite"),
        ("1.bias", float("inf"), "'1.bias' has numbers that are not finite"),
        ("1.running_mean", float("nan"), "'1.running_mean' has numbers that are not finite"),
        ("1.running_var", -1.0, "'1.running_var' has variances below zero"),
    ],
)
def test_a_network_with_numbers_that_are_none_is_gone_on_with_by_nothing(
    nets: str, key: str, value: float, said: str
) -> None:
    model, path = new_network(nets, []), Path("net.pth.tar")
    netslim.save(path, model)
    assert sound_network(read(path), path, nets, []) is not None
    model.state_dict()[key].flatten()[0] = value
    netslim.save(path, model)
    with pytest.raises(CheckpointError) as error:
        sound_network(read(path), path, nets, [])
    assert str(error.value) == f"net.pth.tar: {said}; take another file"


def test_arguments_are_of_own_code_only(nets: str) -> None:
    netslim.save("known.pth.tar", netslim.create_model("resnet", depth=11, num_classes=2))
    said = r"^`arch_args=\['depth=20'\]`: only code of your own takes them: type `arch='FILE\.py:NAME'`, or leave it"
    with pytest.raises(UsageError, match=said):
        open_network(read(Path("known.pth.tar")), Path("known.pth.tar"), None, ["depth=20"])
    with pytest.raises(UsageError, match=said):
        new_network("resnet", ["depth=20"])
    assert name_of(loader(nets, ["width=9"])(Path("known.pth.tar"))) == "resnet"  # they are of other files
