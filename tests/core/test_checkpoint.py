import io
import json
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netslim.core.checkpoint import FORMAT, Checkpoint, checkpoint_data, read_checkpoint, write_checkpoint
from netslim.core.errors import CheckpointError, NetslimError
from netslim.core.protocols import ArchSpec

DiskFull = Callable[[int], AbstractContextManager[None]]
WEIGHTS = {"conv1.weight": torch.arange(6.0).view(2, 3), "select.indexes": torch.ones(3)}


def full_checkpoint() -> Checkpoint:
    return Checkpoint(
        state_dict=dict(WEIGHTS),
        arch=ArchSpec(name="resnet", arguments={"depth": 11, "num_classes": 10}),
        plan={"percent": 0.4, "groups": [{"name": "layer1.0", "total": 3, "keep": [0, 2]}]},
        cfg=[2, 1, 3],
        epoch=7,
        best_prec1=0.875,
        optimizer={"state": {0: {"momentum_buffer": torch.ones(2, 3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        dataset={"name": "digits", "classes": ["0", "1"], "mean": [0.5], "std": [0.25]},
        training={"selected_on": "val", "rng": torch.arange(4, dtype=torch.uint8)},
        provenance={"run_id": "ab", "versions": {"torch": "2"}},
        extra={"source": "timm", "source_model": "resnet50"},
    )


def written(path: Path, **data: Any) -> Path:
    torch.save(data, path)
    return path


def test_round_trip(tmp_path: Path) -> None:
    before = full_checkpoint()
    write_checkpoint(tmp_path / "a.pth.tar", before)
    after = read_checkpoint(tmp_path / "a.pth.tar")
    for name in ("arch", "plan", "cfg", "epoch", "best_prec1", "dataset", "provenance", "extra"):
        assert getattr(after, name) == getattr(before, name), name
    assert list(after.state_dict) == list(WEIGHTS)
    assert all(torch.equal(after.state_dict[key], value) for key, value in WEIGHTS.items())
    assert after.optimizer is not None
    assert torch.equal(after.optimizer["state"][0]["momentum_buffer"], torch.ones(2, 3))
    assert after.optimizer["param_groups"] == [{"lr": 0.1, "params": [0]}]
    assert after.training["selected_on"] == "val"
    assert after.training["rng"].tolist() == [0, 1, 2, 3]


def test_the_keys_of_the_original_scripts_are_at_the_top(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a.pth.tar", full_checkpoint())
    data = torch.load(tmp_path / "a.pth.tar", weights_only=True)
    assert set(data) == {
        *("epoch", "state_dict", "best_prec1", "optimizer", "cfg", "netslim", "source", "source_model"),
    }
    assert data["epoch"] == 7
    assert data["best_prec1"] == 0.875
    assert data["cfg"] == [2, 1, 3]
    assert set(data["optimizer"]) == {"state", "param_groups"}
    assert data["netslim"]["format"] == FORMAT
    assert torch.equal(data["state_dict"]["conv1.weight"], WEIGHTS["conv1.weight"])


def test_a_transfer_has_no_optimizer_and_no_cfg() -> None:
    data = checkpoint_data(
        Checkpoint(state_dict=dict(WEIGHTS), extra={"source": "timm", "dataset": "cifar10", "depth": 164})
    )
    assert set(data) == {"state_dict", "epoch", "best_prec1", "source", "dataset", "depth", "netslim"}
    assert (data["epoch"], data["best_prec1"]) == (0, 0.0)


def test_what_is_written_is_dense_and_stands_alone(tmp_path: Path) -> None:
    part = torch.arange(1_000_000.0).view(1000, 1000)[:, :2]  # a view of 4 MB
    weights = {"a": part.t(), "b": torch.nn.Parameter(torch.ones(2))}
    write_checkpoint(tmp_path / "a.pth.tar", Checkpoint(state_dict=weights))
    assert (tmp_path / "a.pth.tar").stat().st_size < 12_000
    after = read_checkpoint(tmp_path / "a.pth.tar").state_dict
    assert torch.equal(after["a"], part.t())
    assert not after["b"].requires_grad
    assert weights["b"].requires_grad  # the caller's own is as it was


@pytest.mark.parametrize(
    "best",
    [0.75, torch.tensor(0.75), torch.tensor([0.75], dtype=torch.float64)],
    ids=["number", "scalar", "one element"],
)
def test_a_file_of_the_original_training_script(tmp_path: Path, best: Any) -> None:
    file = written(
        tmp_path / "model_best.pth.tar", epoch=41, state_dict=OrderedDict(WEIGHTS), best_prec1=best, optimizer={}
    )
    checkpoint = read_checkpoint(file)
    assert checkpoint.epoch == 41
    assert checkpoint.best_prec1 == 0.75
    assert type(checkpoint.best_prec1) is float
    assert checkpoint.optimizer == {}
    assert checkpoint.arch is None
    assert checkpoint.plan is None
    assert checkpoint.cfg is None
    assert checkpoint.training == checkpoint.provenance == checkpoint.extra == {}


def test_a_file_of_the_original_pruning_script(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(written(tmp_path / "pruned.pth.tar", cfg=[2.0, 1, 3], state_dict=WEIGHTS))
    assert checkpoint.cfg == [2, 1, 3]
    assert all(type(width) is int for width in checkpoint.cfg)
    assert (checkpoint.epoch, checkpoint.best_prec1, checkpoint.optimizer) == (0, 0.0, None)


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_data_parallel_and_compile(tmp_path: Path, wrapper: str) -> None:
    weights = {f"{wrapper}{key}": value for key, value in WEIGHTS.items()} | {"layer.module.weight": torch.ones(1)}
    checkpoint = read_checkpoint(written(tmp_path / "a.pth", state_dict=weights))
    assert list(checkpoint.state_dict) == [*WEIGHTS, "layer.module.weight"]


def test_weights_alone(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(written(tmp_path / "a.pth", **WEIGHTS))
    assert list(checkpoint.state_dict) == list(WEIGHTS)


def test_further_keys_are_kept(tmp_path: Path) -> None:
    extra = {"source": "timm", "depth": 164, "note": [1, {"x": None}]}
    file = written(tmp_path / "a.pth", state_dict=WEIGHTS, **extra)
    checkpoint = read_checkpoint(file)
    assert checkpoint.extra == extra
    write_checkpoint(file, checkpoint)
    assert read_checkpoint(file).extra == extra


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"model": WEIGHTS, "epoch": 3}, "model, epoch"),
        ({}, "nothing"),
        ({"state_dict": {}}, "state_dict"),
        ({"state_dict": [1], "epoch": 1}, "state_dict, epoch"),
        ({"state_dict": {"a": torch.ones(1), "b": 3}}, "state_dict"),
        ({str(n): n for n in range(20)}, "0, 1, 2, 3, 4, 5, 6, 7"),
    ],
)
def test_no_state_dict(tmp_path: Path, data: dict[str, Any], found: str) -> None:
    with pytest.raises(CheckpointError, match=rf"a.pth has no state_dict \(it has: {found}\)$"):
        read_checkpoint(written(tmp_path / "a.pth", **data))


def test_a_newer_format(tmp_path: Path) -> None:
    file = written(tmp_path / "a.pth", state_dict=WEIGHTS, netslim={"format": FORMAT + 1})
    with pytest.raises(CheckpointError, match=rf"a.pth was written by a newer netslim \(format 2, known: {FORMAT}\)$"):
        read_checkpoint(file)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": "three"},
        {"epoch": float("inf")},
        {"epoch": None},
        {"best_prec1": torch.ones(2)},
        {"best_prec1": {}},
        {"cfg": 3},
        {"cfg": [64, "X"]},
        {"cfg": torch.tensor(1.0)},
        {"netslim": [1]},
        {"netslim": {"format": "x"}},
        {"netslim": {"arch": {"nam": "resnet"}}},
        {"netslim": {"arch": "resnet"}},
    ],
)
def test_parts_of_another_kind(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"a.pth is no checkpoint of netslim or of the original scripts: \S"):
        read_checkpoint(written(tmp_path / "a.pth", state_dict=WEIGHTS, **wrong))


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.just(torch.ones(2)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["epoch", "best_prec1", "optimizer", "cfg", "netslim", "other"])
OWN = st.dictionaries(st.sampled_from(["format", "arch", "plan", "dataset", "training", "provenance"]), PLAIN)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, PLAIN), st.none() | OWN)
def test_any_plain_data_is_read_or_refused(tmp_path: Path, data: dict[str, Any], own: dict[str, Any] | None) -> None:
    if own is not None:
        data = data | {"netslim": own}
    file = written(tmp_path / "a.pth", **{"state_dict": WEIGHTS, **data})
    try:
        checkpoint = read_checkpoint(file)
    except CheckpointError:
        return
    assert list(checkpoint.state_dict) == list(WEIGHTS)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_disk_full_while_the_checkpoint_is_replaced(tmp_path: Path, disk_full_after: DiskFull, share: float) -> None:
    """torch.save over an existing file destroys it."""
    file = tmp_path / "checkpoint.pth.tar"
    write_checkpoint(file, full_checkpoint())
    before = file.read_bytes()
    buffer = io.BytesIO()
    torch.save(checkpoint_data(full_checkpoint()), buffer)
    with disk_full_after(int(share * buffer.tell())), pytest.raises(NetslimError, match=r"^cannot write .*as it was$"):
        write_checkpoint(file, full_checkpoint())
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
    assert read_checkpoint(file).epoch == 7


def test_an_onnx_file_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"a graph")
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / "net.onnx")
    assert str(caught.value) == (
        f"{tmp_path / 'net.onnx'} is an ONNX file, not a checkpoint: it can be pruned, exported, judged and timed"
    )


@pytest.mark.parametrize(
    ("name", "status", "begins_anew"),
    [
        ("checkpoint.pth.tar", "running", True),
        ("checkpoint.pth.tar", "finished", False),
        ("checkpoint.pth.tar", None, False),
        ("model_best.pth.tar", "running", False),
    ],
)
def test_a_cut_off_state_of_a_run_says_the_way_out(
    tmp_path: Path, name: str, status: str | None, begins_anew: bool
) -> None:
    write_checkpoint(tmp_path / name, full_checkpoint())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-100])
    if status is not None:
        record = {"run_id": "a", "stage": "train", "status": status, "config": {}, "parents": {}}
        (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / name)
    way_out = "; it is the state of an unfinished run: delete this file, and the run's command begins anew"
    assert str(caught.value) == (
        f"{tmp_path / name} is damaged: the archive is cut off{way_out if begins_anew else ''}"
    )
