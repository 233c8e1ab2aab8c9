"""`netslim prune` of an ONNX file."""

import json
import re
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from onnx_files import classifier, images

import netslim
from netslim.core.errors import ArgumentError, CheckpointError, NetslimError, UsageError
from netslim.stages.prune import onnx_file
from netslim.stages.prune.config import PruneConfig
from netslim.stages.prune.run import run


def config(model: Path, save: Path, **settings) -> PruneConfig:
    return PruneConfig(model=model, save=save, target_macs=0.5, **settings)


def test_a_file_becomes_a_smaller_file_that_onnx_runtime_runs(tmp_path, capsys):
    model, folder = classifier(tmp_path / "net.onnx", author="someone"), images(tmp_path / "images", 40)
    result = run(config(model, tmp_path / "out", data_dir=folder, std="0.25"))
    written = onnx.load(result["file"])
    session = onnxruntime.InferenceSession(result["file"])
    assert session.run(["scores"], {"image": torch.randn(3, 3, 8, 8).numpy()})[0].shape == (3, 3)
    assert result["macs"] / result["macs_before"] == pytest.approx(0.5, abs=0.05)
    assert result["runtime_difference"] < 1e-5
    assert result["reconstructed"]["images"] == 40
    facts = {entry.key: entry.value for entry in written.metadata_props}
    assert facts["author"] == "someone"
    assert json.loads(facts["netslim"])["plan"] == json.loads((tmp_path / "out" / "plan.json").read_text())
    said = capsys.readouterr().out
    assert f"images     40 of {folder}, 8x8, RGB, pixels of 0 to 1 less 0 0 0, divided by 0.25 0.25 0.25" in said
    assert re.search(r"\d+ of 3 layers fitted on 40 images", said)
    assert "next" not in said


def test_what_is_fixed_and_what_comes_after_the_network_is_said(tmp_path, capsys):
    branches = {
        name: helper.make_graph([helper.make_node(kind, ["c"], [kind])], kind, [], [empty(kind)])
        for name, kind in (("then_branch", "Relu"), ("else_branch", "Neg"))
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "three"], ["width"]),
        helper.make_node("Equal", ["width", "nine"], ["cond"]),
        helper.make_node("If", ["cond"], ["r"], name="choice", **branches),
        helper.make_node("Conv", ["r", "v"], ["scores"]),
        helper.make_node("NonZero", ["scores"], ["places"], name="found"),
    ]
    tensors = {"w": torch.randn(8, 3, 3, 3), "v": torch.randn(5, 8, 1, 1)}
    tensors |= {"three": torch.tensor(3), "nine": torch.tensor(9)}
    held = [numpy_helper.from_array(tensor.numpy(), name) for name, tensor in tensors.items()]
    given = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])
    graph = helper.make_graph(nodes, "graph", [given], [empty("places")], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    result = run(config(tmp_path / "net.onnx", tmp_path / "out", input_shape="3x9x9"))
    said = capsys.readouterr().out
    fixed = "side 3 of input 'x' is fixed at 9: node 'choice' (If) asks for it"
    assert f"in what is written, {fixed}; `input_shape` says another size" in said
    assert "from node 'found' (NonZero) on the file stays as it is" in said
    session = onnxruntime.InferenceSession(result["file"])
    assert session.run(None, {"x": torch.randn(1, 3, 12, 9).numpy()})[0].shape[0] == 4


def empty(name):
    return helper.make_empty_tensor_value_info(name)


def test_layers_are_measured_on_the_images_of_a_folder(tmp_path):
    model, folder = classifier(tmp_path / "net.onnx"), images(tmp_path / "images", 40)
    results = [
        run(config(model, tmp_path / name, data_dir=folder, reconstruct=0, allocation=name))
        for name in ("scores", "sensitivity")
    ]
    assert results[0]["macs"] != results[1]["macs"]
    with pytest.raises(UsageError, match=r"^`allocation='sensitivity'` is of images: type `data_dir='FOLDER'`$"):
        run(config(model, tmp_path / "without", allocation="sensitivity"))


def test_what_was_written_is_read_and_pruned_again(tmp_path):
    first = run(config(classifier(tmp_path / "net.onnx"), tmp_path / "one"))
    again = run(config(Path(first["file"]), tmp_path / "two"))
    assert again["macs_before"] == first["macs"]
    assert again["macs"] < 0.6 * first["macs"]


def test_a_changed_file_of_netslims_is_refused(tmp_path):
    written = Path(run(config(classifier(tmp_path / "net.onnx"), tmp_path / "one"))["file"])
    content = bytearray(written.read_bytes())
    content[content.index(b"second.weight") - 100] ^= 1
    written.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged, or another program changed it"):
        run(config(written, tmp_path / "two"))


def test_folders_of_classes_are_judged_by(tmp_path, capsys):
    for number, name in enumerate(("cat", "dog", "fox")):
        images(tmp_path / "images" / name, 6, seed=number)
    result = run(config(classifier(tmp_path / "net.onnx"), tmp_path / "out", data_dir=tmp_path / "images"))
    assert result["test_images"] == 9
    assert 0 <= result["top1"] <= 1
    assert "on 9 images that no layer was fitted on" in capsys.readouterr().out


def test_other_folders_than_outputs_are_no_classes(tmp_path, capsys):
    images(tmp_path / "images" / "all", 6)
    result = run(config(classifier(tmp_path / "net.onnx"), tmp_path / "out", data_dir=tmp_path / "images"))
    assert "top1" not in result
    assert "1 folders of classes are no outputs of the network" in capsys.readouterr().out


def test_the_same_command_again_does_nothing(tmp_path, capsys):
    asked = config(classifier(tmp_path / "net.onnx"), tmp_path / "out")
    assert run(asked) == run(asked)
    assert "is finished; nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"steps": 3}, "`steps=3`: a network from an ONNX file is not trained"),
        ({"dataset": "digits"}, "`dataset='digits'`: an ONNX file is pruned with the images of a folder"),
        ({"criterion": "taylor"}, "`criterion='taylor'`: it needs a loss"),
        ({"arch": "resnet"}, "an ONNX file says by itself what it is"),
        ({"reconstruct": 10}, "`reconstruct=10` is of images: type `data_dir='FOLDER'`"),
        ({"mean": "0.5"}, "`mean=0.5` is of images"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, text, tmp_path):
    with pytest.raises(UsageError, match=re.escape(text)):
        run(config(classifier(tmp_path / "net.onnx"), tmp_path / "out", **settings))
    assert not (tmp_path / "out").exists()


def test_settings_of_onnx_files_are_refused_for_checkpoints(tmp_path):
    with pytest.raises(ArgumentError, match=re.escape("`mean='0.5'`: only ONNX files need it")):
        run(config(tmp_path / "net.pth.tar", tmp_path / "out", mean="0.5"))


def test_a_network_that_was_read_wrong_is_not_pruned(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "difference_from", lambda *_: 0.1)
    with pytest.raises(NetslimError, match=r"differs from ONNX Runtime by 1\.0e-01 .* nothing was written"):
        run(config(classifier(tmp_path / "net.onnx"), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_python_way(tmp_path):
    network = netslim.load(classifier(tmp_path / "net.onnx"))
    example = torch.randn(8, 3, 8, 8)
    small = netslim.apply(network, netslim.plan(network, example, target_macs=0.5, criterion="l1_norm"))
    netslim.reconstruct_(small, network, [torch.randn(16, 3, 8, 8) for _ in range(2)])
    written = netslim.export(small, example, tmp_path / "small.onnx")
    assert written.difference < 1e-5
