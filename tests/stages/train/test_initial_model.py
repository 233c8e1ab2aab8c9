"""The network that a phase begins with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import netslim
from netslim.core.checkpoint import read_checkpoint, write_checkpoint
from netslim.core.errors import CheckpointError, UsageError
from netslim.core.runs.seeding import seed_torch
from netslim.models import ChannelSelection, create_model
from netslim.network import save
from netslim.stages.train.initial_model import reinitialize_

Train = Callable[..., dict[str, Any]]


CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"


def test_a_network_of_another_depth_classes_or_channels(run_train: Train, tmp_path: Path, trained: Path) -> None:
    start = trained / BEST
    with pytest.raises(CheckpointError) as error:
        run_train(save=tmp_path / "run", resume=start, depth=20)
    assert str(error.value) == f"{start} holds a resnet with depth 11, not 20; type `depth=11`"
    for name, given in (("num_classes", {"num_classes": 10, "in_channels": 1}), ("in_channels", {"num_classes": 2})):
        other = tmp_path / f"{name}.pth.tar"
        model = create_model("resnet", depth=11, **given)
        save(other, model)
        found, has = model.arch.arguments[name], {"num_classes": 2, "in_channels": 1}[name]
        with pytest.raises(CheckpointError) as error:
            run_train(save=tmp_path / "run", resume=other)
        assert str(error.value) == f"{other} holds a resnet with {name} {found}, not {has}; folder has {has}"


def test_refine_of_a_network_that_is_not_pruned(run_train: Train, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        run_train(save=tmp_path / "run", refine=trained / BEST)
    assert str(error.value) == f"`refine='{trained / BEST}'`: the network in it is not pruned; type `resume` for it"
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ({"name": "folder", "mean": [0.5], "std": [0.25]}, True),
        ({"mean": [0.5], "std": [0.25]}, True),  # a library's weights, for images of nothing that is known
        ({"name": "other", "mean": [0.5], "std": [0.25]}, False),
        ({"name": "folder"}, False),
    ],
)
def test_images_stay_normalised_as_the_network_learnt_them(
    run_train: Train,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    said: dict[str, Any],
    stays: bool,
) -> None:
    checkpoint = read_checkpoint(trained / BEST)
    own, checkpoint.dataset = checkpoint.dataset, said
    write_checkpoint(tmp_path / "start.pth.tar", checkpoint)
    run_train(save=tmp_path / "run", resume=tmp_path / "start.pth.tar", epochs=1)
    written = read_checkpoint(tmp_path / "run" / BEST).dataset
    assert own
    assert written == (own | {"mean": [0.5], "std": [0.25]} if stays else own)
    line = "gives its weights alone; the images are others: data set folder (there other), normalised by mean"
    assert (line in capsys.readouterr().out) == (said.get("name") == "other")


# New weights of an old shape


def test_new_weights_are_those_that_create_model_draws(run_train: Train, pruned: Path, tmp_path: Path) -> None:
    old = netslim.load(pruned / "pruned.pth.tar")
    new = netslim.load(pruned / "pruned.pth.tar")
    reinitialize_(new, 5)
    seed_torch(5, "init")
    drawn = create_model("resnet", **{**old.arch.arguments, "cfg": old.cfg}).state_dict()
    for key, value in new.state_dict().items():
        assert torch.equal(value, old.state_dict()[key] if key.endswith(".indexes") else drawn[key]), key
    assert new.plan == old.plan
    assert new.cfg == old.cfg
    for module, before in zip(new.modules(), old.modules(), strict=True):
        if isinstance(module, ChannelSelection):
            assert torch.equal(module.index, before.index)
    run_train(save=tmp_path / "run", refine=pruned / "pruned.pth.tar", reinitialize=True, epochs=1)
    assert netslim.load(tmp_path / "run" / BEST).cfg == old.cfg


def test_a_librarys_network_gets_its_own_start_without_the_removed_channels() -> None:
    model = create_model("torchvision/resnet18", num_classes=2, in_channels=1, stem="cifar")
    plan = netslim.plan(model, torch.zeros(1, 1, 8, 8), percent=0.5)
    small = netslim.apply(model, plan)
    reinitialize_(small, 3)
    seed_torch(3, "init")
    drawn = netslim.apply(create_model("torchvision/resnet18", num_classes=2, in_channels=1, stem="cifar"), plan)
    assert all(torch.equal(value, drawn.state_dict()[key]) for key, value in small.state_dict().items())


def test_a_file_that_names_its_widths_alone_is_drawn_anew_too() -> None:
    """As the original writes it: `cfg` and no plan."""
    old = create_model("vgg", depth=11, num_classes=2, in_channels=1, cfg=[6, "M", 8, "M", 12, 9, "M", 6, 7, "M", 8, 9])
    before = old.state_dict()["classifier.weight"].clone()
    reinitialize_(old, 3)
    assert old.state_dict()["classifier.weight"].shape == before.shape
    assert not torch.equal(old.state_dict()["classifier.weight"], before)


ARCH = "timm/test_resnet"


@pytest.fixture
def start(tmp_path: Path) -> Path:
    path = tmp_path / "start.pth.tar"
    save(path, create_model(ARCH, num_classes=2, in_channels=1, stem="cifar"))
    return path


def test_a_file_of_a_network_without_a_depth(run_train: Train, start: Path, tmp_path: Path) -> None:
    """main.py always asks for one, unless `arch` names a library's network."""
    with pytest.raises(CheckpointError) as error:
        run_train(save=tmp_path / "run", resume=start, depth=19)
    assert str(error.value) == (
        f"{start} holds a timm/test_resnet, which has no depth: leave `depth` out "
        "(main.py: type `arch='timm/test_resnet'`)"
    )
    run_train(save=tmp_path / "run", resume=start, depth=None, arch=ARCH, stem="cifar", epochs=1)


def test_a_file_of_a_network_with_another_stem(run_train: Train, start: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        run_train(save=tmp_path / "run", resume=start, depth=None, stem="imagenet")
    assert str(error.value) == f"{start} holds a timm/test_resnet with stem cifar, not imagenet; type `stem='cifar'`"
    with pytest.raises(CheckpointError) as error:
        run_train(save=tmp_path / "run", resume=trained / BEST, stem="cifar")
    assert str(error.value) == f"{trained / BEST} holds a resnet, which has no stem: leave `stem` out"
