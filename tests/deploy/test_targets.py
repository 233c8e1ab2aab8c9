"""Every target's file runs without the trained network, at any batch size, and is never there half or wrong."""

import ast
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from exported_networks import IMAGES, NETWORKS, outputs
from torch import nn

import netslim
from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.deploy import TARGETS, Exported, Form, ParityError, export, for_inference
from netslim.deploy.inference import Search
from netslim.deploy.onnx_graph import NotWrittenError, onnx_model
from netslim.deploy.parity import check_parity
from netslim.deploy.target import Target
from netslim.deploy.targets.eager import load_code
from netslim.network import describe

QUICK = Search(selection="zeros", multiple=1, layout="nchw", bounds=True)


def exported(model: nn.Module, path: Path, target: str, search: Search = QUICK) -> Exported:
    described = describe(model)
    facts: dict[str, Any] = {"arch": described.arch.to_dict() if described.arch else None, "plan": described.plan}
    return export(model, IMAGES, path, target, facts=facts, reopen=netslim.load, search=search)


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(name: str, tmp_path: Path) -> None:
    model = NETWORKS[name]()
    found = exported(model, tmp_path / "net.onnx", "onnx")
    assert found.difference < 1e-5
    written = onnx.load(found.path)
    onnx.checker.check_model(written, full_check=True)
    kinds = Counter(node.op_type for node in written.graph.node)
    assert kinds["Gather"] == 0
    assert written.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    session = onnxruntime.InferenceSession(found.path)
    images = torch.randn(5, *IMAGES.shape[1:])
    (result,) = session.run(["output"], {session.get_inputs()[0].name: images.numpy()})
    torch.testing.assert_close(torch.from_numpy(result), outputs(model, images), rtol=1e-4, atol=1e-5)


def test_onnx_with_gathers(tmp_path: Path) -> None:
    found = exported(NETWORKS["resnet"](), tmp_path / "net.onnx", "onnx", Search(selection="gather", multiple=8))
    kinds = Counter(node.op_type for node in onnx.load(found.path).graph.node)
    assert kinds["Gather"] > 0
    assert kinds["Gather"] <= kinds["BatchNormalization"] + kinds["Max"]


def test_onnx_says_what_it_is(tmp_path: Path) -> None:
    model = NETWORKS["resnet"]()
    found = exported(model, tmp_path / "net.onnx", "onnx")
    (facts,) = [json.loads(p.value) for p in onnx.load(found.path).metadata_props if p.key == "netslim"]
    assert facts["macs"] == netslim.measure(model, IMAGES).macs
    assert facts["input_shape"] == [3, 16, 16]
    assert facts["form"] == {"selection": "zeros", "multiple": 1, "layout": "nchw", "bounds": True}
    assert facts["arch"]["name"] == "resnet"


def test_operations_that_only_torch_can_write() -> None:
    network = for_inference(nn.Sequential(nn.Conv2d(3, 4, 1), nn.PixelShuffle(2)), IMAGES)
    with pytest.raises(NotWrittenError, match="PixelShuffle"):
        onnx_model(network, {})


def test_eager_is_code_that_needs_no_netslim(tmp_path: Path) -> None:
    model = NETWORKS["resnet"]()
    exported(model, tmp_path / "net", "eager", Search(selection="gather", multiple=8, layout="nhwc"))
    assert sorted(file.name for file in (tmp_path / "net").iterdir()) == [
        "config.json",
        "model.safetensors",
        "network.py",
    ]
    imports = [n for n in ast.walk(ast.parse((tmp_path / "net/network.py").read_text())) if isinstance(n, ast.Import)]
    assert [alias.name for node in imports for alias in node.names] == ["torch"]
    loaded = load_code(tmp_path / "net")
    torch.testing.assert_close(outputs(loaded, IMAGES), outputs(model, IMAGES), rtol=1e-4, atol=1e-5)
    weight = next(
        layer.weight for layer in loaded.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size > (1, 1)
    )
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_eager_writes_torchs_own_layers_only(tmp_path: Path) -> None:

    with pytest.raises(NetslimError, match="type `target='pt2'`"):
        exported(nn.Sequential(nn.Conv2d(3, 2, 1), _Foreign(), nn.Flatten()), tmp_path / "net", "eager")
    assert list(tmp_path.iterdir()) == []


class _Foreign(nn.ReLU):
    """A leaf that torch.nn does not have: it says that it is of torch.nn."""


_Foreign.__module__ = "torch.nn.modules.activation"


@pytest.mark.parametrize("name", ["resnet", "coupled", "vgg", "densenet", "resnet18"])
def test_safetensors_is_the_trained_network(name: str, tmp_path: Path) -> None:
    model = NETWORKS[name]()
    assert exported(model, tmp_path / "net", "safetensors").difference == 0
    for path in (tmp_path / "net", tmp_path / "net" / "model.safetensors"):
        again = netslim.load(path)
        assert type(again) is type(model)
        assert again.plan == model.plan
        assert all(torch.equal(value, again.state_dict()[key]) for key, value in model.state_dict().items())


def test_damaged_folders(tmp_path: Path) -> None:
    exported(NETWORKS["resnet"](), tmp_path / "net", "safetensors")
    weights, config = tmp_path / "net/model.safetensors", tmp_path / "net/config.json"
    content, facts = weights.read_bytes(), config.read_text()
    weights.write_bytes(content[:1000])
    with pytest.raises(CheckpointError, match="is damaged or no safetensors file"):
        netslim.load(tmp_path / "net")
    weights.unlink()
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        netslim.load(tmp_path / "net")
    weights.write_bytes(content)
    config.write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is damaged or no JSON"):
        netslim.load(tmp_path / "net")
    config.write_text(facts.replace('"target": "safetensors"', '"target": "eager"'))
    with pytest.raises(CheckpointError, match=r"target eager; netslim\.load opens those of target safetensors"):
        netslim.load(tmp_path / "net")
    config.unlink()
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        netslim.load(weights)


@pytest.mark.parametrize("target", ["onnx", "eager", "safetensors"])
def test_an_interrupted_export_leaves_nothing(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(TARGETS.get(target)), "open", interrupted)
    path = tmp_path / f"net{TARGETS.get(target).suffix}"
    with pytest.raises(KeyboardInterrupt):
        exported(NETWORKS["vgg"](), path, target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["onnx", "eager"])
def test_a_wrong_file_never_replaces_a_right_one(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"net{TARGETS.get(target).suffix}"
    exported(NETWORKS["vgg"](), path, target)
    before = _content(path)
    opened = type(TARGETS.get(target)).open

    def wrong(self: Target, bundle: Any, file: Path) -> Any:
        run = opened(self, bundle, file)
        return lambda images: run(images) + (1e-3 if len(images) == 7 else 0)

    monkeypatch.setattr(type(TARGETS.get(target)), "open", wrong)
    with pytest.raises(ParityError, match=r"differs from the trained network by .* at batch 7 \(allowed: 1e-04\)"):
        exported(NETWORKS["coupled"](), path, target)
    assert _content(path) == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def _content(path: Path) -> dict[str, bytes]:
    files = path.iterdir() if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    exported(NETWORKS["vgg"](), tmp_path / "net", "eager")
    exported(NETWORKS["vgg"](), tmp_path / "net", "safetensors")
    assert sorted(file.name for file in (tmp_path / "net").iterdir()) == ["config.json", "model.safetensors"]


def test_parity_refuses_what_is_not_a_number() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 2))
    with pytest.raises(ParityError, match="differs from the trained network by nan"):
        check_parity(model, lambda images: torch.full((len(images), 2), torch.nan), IMAGES, "x")
    with pytest.raises(ParityError, match=r"gives shape \(1, 3\), not \(1, 2\)"):
        check_parity(model, lambda images: torch.zeros(len(images), 3), IMAGES, "x")


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        ("onxn", "net.onnx", "unknown target 'onxn'; did you mean onnx?"),
        ("onnx", "net", "target onnx writes a .onnx file; type"),
        ("pt2", "net.pt", "target pt2 writes a .pt2 file; type"),
        ("eager", "net.py", "target eager writes a folder; type"),
        ("safetensors", "used", "the folder is in use and is no earlier export; type another name"),
        ("onnx", "used/notes/net.onnx", "cannot write"),
    ],
)
def test_wrong_targets_and_paths(target: str, name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes").write_text("mine")
    with pytest.raises(NetslimError) as caught:
        exported(nn.Linear(1, 1), tmp_path / name, target)
    assert message in str(caught.value)
    assert (tmp_path / "used" / "notes").read_text() == "mine"


def test_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError) as caught:
        exported(nn.Linear(1, 1), tmp_path / "net.onnx", "onnx")
    assert str(caught.value) == (
        "target onnx needs the package onnxruntime, which is not installed; type pip install 'netslim[export]'"
    )


def test_a_layout_that_a_target_has_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`layout='nhwc'`: this target has nchw only; leave it out"):
        exported(NETWORKS["vgg"](), tmp_path / "net.onnx", "onnx", Search(layout="nhwc"))


def test_forms_print_shortly() -> None:
    assert str(Form(selection="gather", multiple=8, layout="nhwc")) == "gather/8/nhwc"
    assert str(Form(bounds=False)) == "zeros/1/nchw/norms"
