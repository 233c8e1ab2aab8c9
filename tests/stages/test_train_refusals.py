"""What training refuses, with what it says, and what it leaves behind."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import CheckpointError, DivergedError, NetslimError, UsageError
from netslim.models import create_model
from netslim.network import save

Train = Callable[..., dict[str, Any]]
CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"resume": Path("a"), "refine": Path("b")},
            "`resume` and `refine` can't go together: `refine` for a pruned network, `resume` for any other",
        ),
        ({"select_on": "tst"}, "`select_on='tst'`: type val (held out of the training set) or test"),
        (
            {"nesterov": True, "momentum": 0.0},
            "`nesterov=True` needs momentum: type `momentum=0.9`, or leave `nesterov` out",
        ),
        ({"start_epoch": 2}, "`start_epoch=2` leaves no epoch of `epochs=2`"),
        ({"schedule": "poly"}, "unknown schedule 'poly' (known: cosine, onecycle, step)"),
        ({"depth": 12}, "`depth=12`: the depth of a bottleneck ResNet is 9n+2; the nearest is 11 or 20"),
        ({"precision": "fp64"}, None),
        ({"device": "tpu"}, "`device='tpu'`: type auto, cpu, cuda or cuda:N"),
        ({"arch": "vgg", "depth": 20}, "`depth=20`: the depth of a VGG is 11, 13, 16 or 19"),
        (
            {"arch": "densenet", "depth": 41},
            "`depth=41`: the depth of a DenseNet is 3n+4; the nearest is 40 or 43",
        ),
        (
            {"arch": "vgg", "depth": None, "stem": "cifar"},
            "`stem='cifar'`: only torchvision/NAME and timm/NAME have one; leave `stem` out",
        ),
        (
            {"arch": "resnext"},
            "unknown architecture 'resnext'; did you mean resnet or densenet? (known: densenet, resnet, vgg)",
        ),
    ],
)
def test_settings_that_can_not_be(run_train: Train, tmp_path: Path, given: dict[str, Any], message: str | None) -> None:
    with pytest.raises(UsageError) as error:
        run_train(save=tmp_path / "run", **given)
    assert message is None or str(error.value) == message
    assert not (tmp_path / "run" / CHECKPOINT).exists()


def test_after_a_mistake_the_folder_is_free_for_the_corrected_command(run_train: Train, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run_train(save=tmp_path / "run", depth=12)
    run_train(save=tmp_path / "run", epochs=1)


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


def test_a_busy_folder(run_train: Train, tmp_path: Path) -> None:
    save = tmp_path / "run"
    save.mkdir()
    with FileLock(save / ".lock"), pytest.raises(UsageError) as error:
        run_train(save=save)
    assert str(error.value) == f"{save} is in use by another process; wait for it or give another `save`"


def test_a_folder_with_someone_elses_files(run_train: Train, tmp_path: Path) -> None:
    (tmp_path / BEST).write_text("precious")
    with pytest.raises(UsageError, match=rf"already holds {BEST}, which no run of netslim wrote there"):
        run_train(save=tmp_path)
    assert (tmp_path / BEST).read_text() == "precious"


def test_a_folder_that_can_not_be_made(run_train: Train, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NetslimError, match=r"^cannot write .*/file/run: Not a directory; nothing was changed$"):
        run_train(save=tmp_path / "file" / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(run_train: Train, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(NetslimError, match=r"^cannot write .*: Permission denied; nothing was changed$"):
            run_train(save=tmp_path / "run")
    finally:
        tmp_path.chmod(0o700)


def test_a_loss_that_diverges_leaves_the_last_good_files(run_train: Train, tmp_path: Path) -> None:
    """Weight decay beyond 2 / lr makes every step overshoot: weights grow until they overflow, some epochs later."""
    with pytest.raises(DivergedError, match=r"^the loss became (nan|inf) in epoch "):
        run_train(save=tmp_path, epochs=100, weight_decay=100.0)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    for name in (CHECKPOINT, BEST):
        checkpoint = read_checkpoint(tmp_path / name)
        weights = [value for key, value in checkpoint.state_dict.items() if "running" not in key]
        assert all(value.isfinite().all() for value in weights)
        assert 1 <= checkpoint.epoch <= len(rows) < 100
    assert read_checkpoint(tmp_path / CHECKPOINT).epoch == len(rows)
