"""Networks in files: reopened from the file alone, the original scripts' files too, and refused with reasons."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import netslim
from fresh_python import FreshPython
from netslim.core.checkpoint import read_checkpoint, write_checkpoint
from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.core.protocols import ArchSpec, PrunableModel
from netslim.network import describe, load_weights

IMAGES = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def resnet(depth: int = 11, seed: int = 0) -> PrunableModel:
    torch.manual_seed(seed)
    model = netslim.create_model("resnet", depth=depth, num_classes=3, in_channels=1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            module.running_mean, module.running_var = torch.randn_like(module.bias), torch.rand_like(module.bias) + 0.5
    return model.eval()


def pruned(model: PrunableModel, percent: float = 0.6) -> PrunableModel:
    return netslim.apply(model, netslim.plan(model, IMAGES[:1], percent=percent))


def same(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)


def twice(model: PrunableModel) -> PrunableModel:
    return pruned(pruned(model, 0.3), 0.4)


@pytest.mark.parametrize("change", [lambda model: model, pruned, twice], ids=["unpruned", "pruned", "pruned twice"])
def test_a_file_gives_the_network_back(tmp_path: Path, change: Any) -> None:
    model = change(resnet()).train()
    netslim.save(str(tmp_path / "n.pth.tar"), model)
    assert model.training
    found = netslim.load(str(tmp_path / "n.pth.tar"))
    assert same(found, model)
    assert (found.arch, found.plan, found.cfg) == (model.arch, model.plan, model.cfg)
    assert not any(module.training for module in found.modules())
    assert all(parameter.requires_grad for parameter in found.parameters())
    assert torch.equal(found(IMAGES), model.eval()(IMAGES))


def test_a_network_built_narrow_comes_back(tmp_path: Path) -> None:
    widths = [5, 3, 16, 64, 1, 32, 100, 64, 2, 256]
    model = netslim.create_model("resnet", depth=11, cfg=widths)
    model.layer3[0].select.select(range(28, 128))
    netslim.save(tmp_path / "n.pth.tar", model)
    found = netslim.load(tmp_path / "n.pth.tar")
    assert found.cfg == widths
    assert found.arch == model.arch
    assert same(found, model)
    assert read_checkpoint(tmp_path / "n.pth.tar").cfg == widths


@pytest.mark.slow
def test_a_fresh_process_needs_nothing_but_the_file(fresh_python: FreshPython, tmp_path: Path) -> None:
    script = (
        "import sys, torch, netslim\n"
        "images = torch.load(sys.argv[1])\n"
        "networks = [netslim.load(path) for path in sys.argv[2:]]\n"
        "assert not {'torchvision', 'timm', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "assert not [name for name in sys.modules if name.startswith(('netslim.deploy', 'netslim.training'))]\n"
        "torch.save([network(images).detach() for network in networks], sys.argv[1])\n"
    )
    model = resnet(20)
    networks = [model, pruned(model)]
    files = [tmp_path / name for name in ("whole.pth.tar", "small.pth.tar")]
    for path, network in zip(files, networks, strict=True):
        netslim.save(path, network)
    assert files[1].stat().st_size < files[0].stat().st_size
    torch.save(IMAGES, tmp_path / "logits")
    done = fresh_python(script, tmp_path / "logits", *files, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for found, network in zip(torch.load(tmp_path / "logits"), networks, strict=True):
        assert torch.equal(found, network(IMAGES))


def original(path: Path, model: PrunableModel, **more: Any) -> Path:
    torch.save({"state_dict": model.state_dict(), **more}, path)
    return path


@pytest.mark.parametrize("with_cfg", [True, False])
def test_files_of_the_original_scripts_name_no_architecture(tmp_path: Path, with_cfg: bool) -> None:
    model = resnet(20)
    path = original(tmp_path / "whole", model, epoch=3, best_prec1=0.5, optimizer={"state": {}, "param_groups": []})
    assert netslim.load(path).arch == model.arch
    small = pruned(model)
    path = original(tmp_path / "small", small, **({"cfg": small.cfg} if with_cfg else {}))
    found = netslim.load(path)
    assert found.arch == ArchSpec(name="resnet", arguments={**model.arch.arguments, "cfg": small.cfg})
    assert found.plan is None
    assert torch.equal(found(IMAGES), small(IMAGES))


def test_files_with_a_module_prefix_and_bare_state_dicts(tmp_path: Path) -> None:
    model = pruned(resnet())
    torch.save({"state_dict": nn.DataParallel(model).state_dict()}, tmp_path / "parallel")
    torch.save(dict(model.state_dict()), tmp_path / "bare")
    for name in ("parallel", "bare"):
        assert same(netslim.load(tmp_path / name), model)


def test_files_from_torch_0_3_have_no_batch_counters(tmp_path: Path) -> None:
    model = resnet()
    state = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "old")
    found = netslim.load(tmp_path / "old")
    assert same(found, model)
    assert found.bn.num_batches_tracked == 0


class Inside(nn.Module):
    """Its parts have the names that wrappers put before all others."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.plan = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.plan(self.module(x))
        return found


def test_a_part_that_is_called_module_keeps_its_name(tmp_path: Path) -> None:
    model = Inside()
    nn.init.uniform_(model.module[1].weight, 0.1, 1)
    small = netslim.apply(model, netslim.plan(model, IMAGES, percent=0.3))
    netslim.save(tmp_path / "inside", small)
    assert same(netslim.load(tmp_path / "inside", model=Inside()), small)


class Versioned(nn.Conv2d):
    """Refuses a state dict that does not say of which version it is, as torchvision's MNASNet does."""

    _version = 2

    def _load_from_state_dict(self, state: Any, prefix: str, metadata: dict[str, Any], *rest: Any) -> None:
        if metadata.get("version") not in (1, 2):
            raise ValueError(f"version should be set to 1 or 2 instead of {metadata.get('version')}")
        super()._load_from_state_dict(state, prefix, metadata, *rest)


def test_classes_that_insist_on_a_version(tmp_path: Path) -> None:
    model = nn.Sequential(Versioned(3, 4, 3))
    netslim.save(tmp_path / "versioned", model)
    assert same(netslim.load(tmp_path / "versioned", model=nn.Sequential(Versioned(3, 4, 3))), model)


class Counting(nn.Linear):
    def get_extra_state(self) -> dict[str, int]:
        return {"steps": 3}


class Asking(nn.Linear):
    """Asks a file for more than its names and shapes say."""

    def _load_from_state_dict(self, *given: Any) -> None:
        given[-1].append("made by another version")


def test_a_module_that_takes_no_such_file_is_one_line(tmp_path: Path) -> None:
    netslim.save(tmp_path / "net.pth.tar", Asking(2, 2))
    with pytest.raises(CheckpointError, match=r"net\.pth\.tar does not fit Asking: .*: made by another version$"):
        netslim.load(tmp_path / "net.pth.tar", model=Asking(2, 2))


def test_a_state_that_is_more_than_tensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^0\._extra_state of Sequential is a dict, and files hold tensors alone: keep"
    ):
        netslim.save(tmp_path / "counting", nn.Sequential(Counting(2, 2)))


def written(path: Path, model: PrunableModel, **changes: Any) -> Path:
    write_checkpoint(path, replace(describe(model), **changes))
    return path


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        netslim.load(path)
    return str(caught.value)


def test_weights_of_another_network_are_compared(tmp_path: Path) -> None:
    path = written(tmp_path / "n", resnet(20), arch=resnet(11).arch)
    wrong = [key for key in resnet(20).state_dict() if key not in resnet(11).state_dict()]
    assert refused(path) == (
        f"{path} does not fit resnet {{'depth': 11, 'num_classes': 3, 'in_channels': 1}}: "
        + "; ".join(f"{key} is not in the network" for key in wrong[:10])
        + f"; and {len(wrong) - 10} more"
    )


def test_differences_of_every_kind(tmp_path: Path) -> None:
    model = resnet()
    state = model.state_dict()
    del state["fc.bias"]
    state["fc.weight"] = torch.zeros(4, 256)
    state["select.indexes"] = torch.tensor([0.0, 1.0]).repeat(128)
    state["head.bias"] = torch.zeros(1)
    path = written(tmp_path / "n", model, state_dict=state)
    assert refused(path) == (
        f"{path} does not fit resnet {{'depth': 11, 'num_classes': 3, 'in_channels': 1}}: "
        "select.indexes chooses 128 channels, not 256; fc.weight is (4, 256), not (3, 256); fc.bias is missing; "
        "head.bias is not in the network"
    )


def test_weights_that_do_not_fit_change_nothing() -> None:
    model, before = resnet(), resnet()
    state: dict[str, Tensor] = dict(resnet(seed=1).state_dict())
    state["fc.bias"] = torch.zeros(9)
    with pytest.raises(CheckpointError, match=r"^here does not fit resnet .*fc.bias is \(9,\), not \(3,\)$"):
        load_weights(model, state, "here")
    assert same(model, before)


@pytest.mark.parametrize(
    ("dtype", "fits"),
    [
        *((dtype, True) for dtype in (torch.float16, torch.bfloat16, torch.float64)),
        *((dtype, False) for dtype in (torch.complex64, torch.int8, torch.bool)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_weights_of_another_kind_of_numbers_are_refused(dtype: torch.dtype, fits: bool) -> None:
    model, before = resnet(), resnet()
    state: dict[str, Tensor] = dict(resnet(seed=1).state_dict())
    state["fc.bias"] = state["fc.bias"].to(dtype)
    if fits:
        load_weights(model, state, "here")
        assert torch.equal(model.state_dict()["fc.bias"], state["fc.bias"].float())
        return
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(CheckpointError, match=rf"^here does not fit resnet .*fc\.bias is of {kind}, not float32$"):
        load_weights(model, state, "here")
    assert same(model, before)


def test_counters_may_be_of_any_whole_or_real_numbers() -> None:
    state: dict[str, Tensor] = dict(resnet().state_dict())
    count = next(key for key in state if key.endswith("num_batches_tracked"))
    for dtype in (torch.int32, torch.float32):
        load_weights(resnet(), {**state, count: state[count].to(dtype)}, "here")


def test_weights_that_fit_no_architecture(tmp_path: Path) -> None:
    torch.save({"state_dict": {f"body.{index}.weight": torch.ones(1) for index in range(6)}}, tmp_path / "n")
    assert refused(tmp_path / "n") == (
        f"{tmp_path / 'n'}: these weights fit no architecture that netslim knows "
        "(first keys: body.0.weight, body.1.weight, body.2.weight, body.3.weight): those of torchvision and timm come "
        "in by netslim transfer, your own network by `arch='FILE.py:NAME'` or netslim.load(path, model=...)"
    )


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        (
            ArchSpec(name="resnett"),
            "unknown architecture 'resnett'; did you mean resnet or densenet? "
            "(known: densenet, resnet, timm/NAME, torchvision/NAME, vgg)",
        ),
        (
            ArchSpec(name="resnet", arguments={"depth": 12}),
            "`depth=12`: the depth of a bottleneck ResNet is 9n+2; the nearest is 11 or 20",
        ),
        (
            ArchSpec(name="resnet", arguments={"depth": 11, "num_classes": -1}),
            "num_classes -1 and in_channels 3: both are at least 1",
        ),
    ],
)
def test_architectures_that_do_not_exist(tmp_path: Path, arch: ArchSpec, message: str) -> None:
    path = written(tmp_path / "n", resnet(), arch=arch)
    assert refused(path) == f"{path}: {message}"


def test_plans_that_do_not_fit(tmp_path: Path) -> None:
    small, other = pruned(resnet()), pruned(resnet(20))
    assert other.plan is not None
    path = written(tmp_path / "n", small, plan=other.plan.to_dict())
    assert refused(path) == (
        f"{path}: the plan is for another network: it has 19 groups, this one 10; first difference: layer1.1.bn1"
    )
    path = written(tmp_path / "n", small, plan={"groups": []})
    assert refused(path) == f"{path}: this is no prune plan: arch: field required"
    path = written(tmp_path / "n", small, plan=None)
    assert "select.indexes chooses" in refused(path)


def test_a_network_of_an_architecture_that_is_not_registered_is_not_saved(tmp_path: Path) -> None:
    class Foreign(PrunableModel):
        arch = ArchSpec(name="mine")

    with pytest.raises(
        UsageError, match=r"^unknown architecture 'mine' \(known: densenet, resnet, timm/NAME, torchvision/NAME, vgg\)$"
    ):
        netslim.save(tmp_path / "n", Foreign())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_or_read_is_a_netslim_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(NetslimError):
        netslim.save(tmp_path / "file" / "n.pth.tar", resnet())
    assert refused(tmp_path / "missing") == f"no such checkpoint file: {tmp_path / 'missing'}"


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(CheckpointError, match=r"^cannot read x+: File name too long$"):
        netslim.load("x" * 300)


@pytest.mark.parametrize(
    "given",
    [{"mean": [0.5]}, {"mean": [0.5], "std": [0.0]}, {"mean": [0.5, 0.5], "std": [0.5]}, {"mean": [], "std": []}],
)
def test_numbers_that_normalise_nothing(tmp_path: Path, given: dict[str, list[float]]) -> None:
    with pytest.raises(UsageError, match=r"give both, numbers per channel of pixels from 0 to 1, std above 0$"):
        netslim.save(tmp_path / "net.pth.tar", nn.Conv2d(1, 2, 3), **given)
    assert not list(tmp_path.iterdir())
