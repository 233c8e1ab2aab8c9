"""`weights`: every form it may have, and every way in which it may be wrong."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from netslim.core.errors import CheckpointError, UsageError
from netslim.core.files import file_hash
from netslim.transfers import load_source
from netslim.transfers.weight_files import read_weights


def same(left: Any, right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in right)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_plain_file_is_loaded_and_described(library: str, resnet18: dict[str, Tensor], resnet18_file: Path) -> None:
    source = load_source(library, "resnet18", weights=resnet18_file)
    assert same(source.state_dict, resnet18)
    assert (source.pretrained, source.origin) == (True, str(resnet18_file))
    assert source.weights_sha256 == file_hash(resnet18_file)


def test_safetensors_are_loaded(resnet18: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(resnet18, tmp_path / "resnet18.safetensors")
    assert same(load_source("timm", "resnet18", weights=tmp_path / "resnet18.safetensors").state_dict, resnet18)


WEIGHTS = {"conv1.weight": torch.arange(4.0), "bn1.num_batches_tracked": torch.tensor(3)}


@pytest.mark.parametrize("nest", ["state_dict_ema", "state_dict", "model_state_dict", "model_state", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_nests_and_prefixes_are_taken_off(nest: str, prefix: str, tmp_path: Path) -> None:
    state = {prefix + key: tensor for key, tensor in WEIGHTS.items()}
    torch.save({"epoch": 3, nest: state, "best_prec1": 0.5, "optimizer": {"state": {}}}, tmp_path / "w.pth.tar")
    assert same(read_weights(tmp_path / "w.pth.tar"), WEIGHTS)


def test_a_prefix_that_only_some_keys_have_stays(tmp_path: Path) -> None:
    state = {"module.a": torch.ones(1), "b": torch.ones(1)}
    torch.save(state, tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth"), state)


def test_averaged_weights_win_as_in_timm(tmp_path: Path) -> None:
    other = {key: tensor + 1 for key, tensor in WEIGHTS.items()}
    torch.save({"state_dict": other, "state_dict_ema": WEIGHTS}, tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth"), WEIGHTS)


def test_another_head_and_missing_batch_counters_are_no_mismatch(resnet18: dict[str, Tensor], tmp_path: Path) -> None:
    state = {key: tensor for key, tensor in resnet18.items() if not key.endswith("num_batches_tracked")}
    state |= {"fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}
    torch.save(state, tmp_path / "w.pth")
    assert same(load_source("torchvision", "resnet18", weights=tmp_path / "w.pth").state_dict, state)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_wrong_model_is_named_with_ten_mismatches_and_the_right_name(library: str, resnet18_file: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_source(library, "resnet50", weights=resnet18_file)
    assert str(caught.value) == (
        f"{resnet18_file} does not hold a resnet50: 188 tensors differ: "
        "layer1.0.conv1.weight is (64, 64, 3, 3) instead of (64, 64, 1, 1); layer1.0.conv3.weight is missing; "
        "layer1.0.bn3.weight is missing; layer1.0.bn3.bias is missing; layer1.0.bn3.running_mean is missing; "
        "layer1.0.bn3.running_var is missing; layer1.0.downsample.0.weight is missing; "
        "layer1.0.downsample.1.weight is missing; layer1.0.downsample.1.bias is missing; "
        "layer1.0.downsample.1.running_mean is missing; and 178 more; "
        "it looks like a resnet18: type `model_name='resnet18'`"
    )


def test_an_incomplete_file_of_the_right_model_gets_no_other_name(resnet18: dict[str, Tensor], tmp_path: Path) -> None:
    state = dict(resnet18) | {"extra.weight": torch.ones(1)}
    del state["layer4.1.bn2.running_var"]
    torch.save(state, tmp_path / "w.pth")
    expected = (
        f"{tmp_path / 'w.pth'} does not hold a resnet18: 2 tensors differ: "
        "layer4.1.bn2.running_var is missing; extra.weight does not belong"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(expected)}$"):
        load_source("torchvision", "resnet18", weights=tmp_path / "w.pth")


def test_a_file_of_something_else_gets_no_suggestion(tmp_path: Path) -> None:
    torch.save({"embedding": torch.ones(2)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"does not hold a resnet18: 101 tensors differ: .*; and 91 more$"):
        load_source("torchvision", "resnet18", weights=tmp_path / "w.pth")


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_source("torchvision", "resnet18", weights=path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.pth") == f"there is no weights file at {tmp_path / 'none.pth'}"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("name", ["w.pth", "w.pth.tar", "w.safetensors"])
def test_a_truncated_file(name: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / name
    save = save_file if path.suffix == ".safetensors" else torch.save
    save({"conv1.weight": torch.randn(64, 3, 7, 7)}, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path)


def test_a_file_without_weights(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {}}, tmp_path / "w.pth")
    assert "holds no state dict, neither plain nor under state_dict_ema, " in refused(tmp_path / "w.pth")


class Malicious:
    """Runs a command when it is unpickled without care."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": WEIGHTS, "extra": Malicious(f"touch {tmp_path / 'ran'}")}, tmp_path / "w.pth")
    refused(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


def test_weights_and_no_pretrained_contradict_each_other(resnet18_file: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^`weights` and `pretrained=False` exclude each other: leave one of them out$"
    ):
        load_source("torchvision", "resnet18", pretrained=False, weights=resnet18_file)


def test_loading_a_file_leaves_the_random_state_alone(resnet18_file: Path) -> None:
    before = torch.get_rng_state()
    load_source("timm", "resnet18", weights=resnet18_file)
    assert torch.equal(torch.get_rng_state(), before)
