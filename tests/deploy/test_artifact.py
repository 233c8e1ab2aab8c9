"""`netslim.export` of any network: several inputs and outputs, whole numbers, and the caller's things left alone."""

import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from exported_networks import IMAGES, NETWORKS, exported, outputs, randomised
from torch import Tensor, nn

import netslim
from netslim.core.errors import NetslimError, UsageError
from netslim.deploy import TARGETS, ParityError
from netslim.deploy.artifact import check_path
from netslim.deploy.form_search import Search
from netslim.deploy.target import Target


def run_onnx(path: Path, *inputs: Tensor) -> dict[str, Tensor]:
    session = onnxruntime.InferenceSession(path)
    fed = {given.name: value.numpy() for given, value in zip(session.get_inputs(), inputs, strict=True)}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(torch.from_numpy, session.run(names, fed)), strict=True))


class Heads(nn.Module):
    """Its classifier is called as its output is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.logits = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> dict[str, Any]:
        features = torch.relu(self.norm(self.conv(x)))
        pooled = features.mean((2, 3))
        return {"logits": self.logits(pooled), "list": [features, (pooled,)]}


def test_outputs_of_any_nesting_are_named_by_their_paths(tmp_path: Path) -> None:
    model = randomised(Heads())
    found = netslim.export(model, IMAGES, str(tmp_path / "net.onnx"))
    assert (found.path, found.note) == (tmp_path / "net.onnx", None)
    images = torch.randn(5, *IMAGES.shape[1:])
    written, expected = run_onnx(found.path, images), outputs(model, images)
    assert [*written] == ["logits", "list_0", "list_1_0"]
    for own, right in zip(
        written.values(), (expected["logits"], expected["list"][0], expected["list"][1][0]), strict=True
    ):
        torch.testing.assert_close(own, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", ["eager", "safetensors"])
def test_several_outputs_in_other_targets(target: str, tmp_path: Path) -> None:
    assert netslim.export(randomised(Heads()), IMAGES, tmp_path / "net", target).difference < 1e-5


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(11, 4), nn.Linear(4, 3)

    def forward(self, ids: Tensor, *, scale: Tensor) -> Tensor:
        return self.head(self.words(ids).mean(1)) * scale


def test_several_inputs_and_whole_numbers(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    model = Words().eval()
    ids, scale = torch.randint(0, 11, (3, 5)), torch.rand(3, 1)
    path = tmp_path / "net.onnx"
    found = netslim.export(model, {"ids": ids, "scale": scale}, path)
    assert found.choice is None
    assert found.note == "the input is no single tensor of real numbers; exported as it is"
    torch.testing.assert_close(run_onnx(path, ids, scale)["output"], model(ids, scale=scale), rtol=1e-4, atol=1e-5)
    assert netslim.export(model, {"ids": ids[:1], "scale": scale[:1]}, tmp_path / "net.pt2", "pt2").difference < 1e-6
    code = netslim.export(model, {"ids": ids, "scale": scale}, tmp_path / "net", "eager")
    assert (code.note, code.choice is None) == (None, False)
    assert "outputs = load()(ids, scale)  # ids: (N, 5), scale: (N, 1)" in (code.path / "network.py").read_text()


def test_code_takes_tensors_one_by_one(tmp_path: Path) -> None:
    class Listed(nn.Module):
        def forward(self, parts: list[Tensor]) -> Tensor:
            return parts[0] + parts[1]

    images = torch.ones(2, 3, 4, 4)
    with pytest.raises(NetslimError, match=r"its inputs are not tensors, one by one; type `target='pt2'`$"):
        netslim.export(Listed(), ([images, images],), tmp_path / "net", "eager")


def test_nothing_is_timed_and_nothing_of_the_callers_changes(tmp_path: Path) -> None:
    model, images = NETWORKS["resnet"]().train(), IMAGES[:1].clone()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = netslim.export(model, images, tmp_path / "net.onnx")
    assert found.choice is not None
    assert not found.choice.measured
    assert model.training
    assert torch.equal(images, IMAGES[:1])
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_folder_says_how_its_network_is_built(tmp_path: Path) -> None:
    model = NETWORKS["resnet"]()
    netslim.export(model, IMAGES, tmp_path / "net", "safetensors")
    assert netslim.load(tmp_path / "net").plan == model.plan
    heads = randomised(Heads())
    netslim.export(heads, IMAGES, tmp_path / "heads", "safetensors")
    again = netslim.load(tmp_path / "heads", model=Heads())
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in heads.state_dict().items())


def test_every_output_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netslim.deploy.artifact.shaped", lambda network, example, form: _broken(network))
    with pytest.raises(ParityError, match=r"of output 'list_1_0' \(allowed"):
        netslim.export(randomised(Heads()), IMAGES, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def _broken(network: Any) -> Any:
    (output,) = [node for node in network.graph.nodes if node.op == "output"]
    first = output.args[0]["list"][1][0]
    with network.graph.inserting_before(output):
        wrong = network.graph.call_function(torch.add, (first, 0.5))
        wrong.meta.update(first.meta)
    output.args = ({**output.args[0], "list": [output.args[0]["list"][0], (wrong,)]},)
    network.recompile()
    return network


def test_an_example_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`example` is a list: give a tensor, a tuple of inputs or a dict"):
        netslim.export(nn.Linear(1, 1), [torch.zeros(1)], tmp_path / "net.onnx")


def test_an_example_that_the_network_does_not_run_on(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^Heads does not run on an input of 1 x 8 x 8: RuntimeError: Given groups=1"):
        netslim.export(Heads(), torch.zeros(2, 1, 8, 8), tmp_path / "net.onnx")
    with pytest.raises(UsageError, match=r"^the example has no input in its batch: give one or more$"):
        netslim.export(Heads(), torch.zeros(0, 3, 8, 8), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_weights_of_16_bits_go_to_safetensors_alone(tmp_path: Path) -> None:
    model, images = Heads().half(), torch.randn(2, 3, 8, 8).half()
    for name, target in (("net.onnx", "onnx"), ("net.pt2", "pt2"), ("net", "eager")):
        with pytest.raises(UsageError, match=r"^Heads has weights of float16, too coarse to compare a file with it: "):
            netslim.export(model, images, tmp_path / name, target)
    assert netslim.export(model, images, tmp_path / "weights", "safetensors").difference == 0


def test_convolutions_of_64_bits_go_where_they_run(tmp_path: Path) -> None:
    model, images = Heads().double(), torch.randn(2, 3, 8, 8).double()
    with pytest.raises(
        UsageError, match=r"numbers have 64 bits, and ONNX Runtime's convolutions take 32: give `model\."
    ):
        netslim.export(model, images, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []
    assert netslim.export(model, images, tmp_path / "net.pt2", "pt2").difference < 1e-12


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


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        ("onxn", "net.onnx", "unknown target 'onxn'; did you mean onnx or openvino?"),
        ("onnx", "net", "target onnx writes a .onnx file; type"),
        ("pt2", "net.pt", "target pt2 writes a .pt2 file; type"),
        ("onnx", "net.pt2", "net.pt2.onnx, or `target='pt2'`"),
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


@pytest.mark.parametrize("name", ["v1.0", "resnet18.a1_in1k-eager", "net.pth-safetensors"])
def test_names_of_folders_may_have_dots(name: str, tmp_path: Path) -> None:
    check_path(tmp_path / name, "eager")
    (tmp_path / name).mkdir()
    check_path(tmp_path / name, "eager")


def test_a_folder_that_can_not_be_replaced_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetslimError, match=r"it can't be replaced as it has no name of its own: type that of a folder"):
        check_path(Path(), "eager")
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path)
    with pytest.raises(NetslimError, match=r": a disk is mounted there, so it can't be replaced: type the name of a"):
        check_path(tmp_path, "eager")


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


@pytest.mark.parametrize("target", ["onnx", "pt2"])
def test_scripted_parts_are_named(target: str, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), torch.jit.script(nn.ReLU()))
    with pytest.raises(UsageError, match=r"^'1' is scripted, which no exporter takes: put the module it was made of"):
        netslim.export(model, IMAGES, tmp_path / f"net.{target}", target)


class _OfFour(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.reshape(4, 192)


@pytest.mark.parametrize(
    ("model", "example"), [(nn.Conv2d(3, 4, 3), torch.zeros(3, 16, 16)), (_OfFour(), torch.zeros(4, 3, 8, 8))]
)
def test_a_network_of_one_batch_size_is_refused(model: nn.Module, example: Tensor, tmp_path: Path) -> None:
    """One image without a batch; a batch that the code names."""
    with pytest.raises(UsageError, match=r"^\w+ does not run on an .* \(the first size of an example is its batch"):
        netslim.export(model, example, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []
