"""A network of one's own: three lines prune and save it; its file holds no code, and `load` asks for what it needs."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import netslim
from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import CheckpointError


class MyNet(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.more = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.fc = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return self.fc(torch.relu(x + self.more(x)).mean((2, 3)))


IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def trained() -> MyNet:
    torch.manual_seed(0)
    model = MyNet()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model.eval()


def test_three_lines(tmp_path: Path) -> None:
    model, path = trained(), tmp_path / "small.pth.tar"

    plan = netslim.plan(model, IMAGES, percent=0.5)
    small = netslim.apply(model, plan)
    netslim.save(path, small)

    assert netslim.verify(model, small, IMAGES).holds
    blank = MyNet()
    before = {key: value.clone() for key, value in blank.state_dict().items()}
    again = netslim.load(path, model=blank)
    assert isinstance(again, MyNet)
    assert again.plan == plan
    assert not again.training
    assert torch.equal(again(IMAGES), small(IMAGES))
    assert all(torch.equal(value, before[key]) for key, value in blank.state_dict().items())
    assert read_checkpoint(path).arch is None


def test_three_lines_in_inference_mode(tmp_path: Path) -> None:
    with torch.inference_mode():
        model, path = trained(), tmp_path / "small.pth.tar"
        small = netslim.apply(model, netslim.plan(model, IMAGES, percent=0.5))
        netslim.save(path, small)
        assert torch.equal(netslim.load(path, model=MyNet())(IMAGES), small(IMAGES))


def test_an_unpruned_network_of_ones_own(tmp_path: Path) -> None:
    model = trained()
    netslim.save(tmp_path / "n", model)
    again = netslim.load(tmp_path / "n", model=MyNet())
    assert torch.equal(again(IMAGES), model(IMAGES))


def refused(path: Path, model: nn.Module | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        _ = netslim.load(path) if model is None else netslim.load(path, model=model)
    return str(caught.value)


def test_files_that_need_their_network(tmp_path: Path) -> None:
    model, path = trained(), tmp_path / "small.pth.tar"
    netslim.save(path, netslim.apply(model, netslim.plan(model, IMAGES, percent=0.5)))
    assert refused(path) == (
        f"{path} holds a MyNet, which netslim can't build by itself: name its code by `arch='FILE.py:NAME'`, or pass "
        "one with netslim.load(path, model=MyNet(...))"
    )
    assert refused(path, MyNet(9)) == (
        f"{path}: the plan is for another network: group 'body.1' has 8 channels there, 9 here"
    )
    assert refused(path, nn.Conv2d(3, 4, 1)) == (
        f"{path}: the plan is for another network: it names group 'body.1', which this one does not have"
    )
    netslim.save(tmp_path / "whole", model)
    assert refused(tmp_path / "whole", MyNet(9)).startswith(
        f"{tmp_path / 'whole'} does not fit MyNet: body.0.weight is (8, 3, 3, 3), not (9, 3, 3, 3); "
    )
