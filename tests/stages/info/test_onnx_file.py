"""`netslim info` of an ONNX file."""

import onnx
import pytest
from onnx_files import classifier

from netslim.core.errors import UsageError
from netslim.deploy.formats.onnx_hash import with_facts
from netslim.stages.info.config import InfoConfig
from netslim.stages.info.run import run
from netslim.stages.prune.config import PruneConfig
from netslim.stages.prune.run import run as prune


def test_what_an_onnx_file_holds(tmp_path, capsys):
    facts = run(InfoConfig(model=classifier(tmp_path / "net.onnx")))
    assert (facts["inputs"], facts["outputs"], facts["layers"]) == ("image ?(2)x3x8x8", "scores", "2 Conv2d, 1 Linear")
    assert (facts["operator set"], facts["written by"], facts["nodes"]) == (13, "others", 7)
    assert facts["params"] == 16 * 27 + 16 + 12 * 144 + 3 * 12 + 3
    assert facts["macs"] == 64 * (16 * 27 + 12 * 144) + 36
    assert facts["plan"] is None
    assert "pruned" not in capsys.readouterr().out


def test_the_plan_of_a_pruned_file(tmp_path):
    result = prune(PruneConfig(model=classifier(tmp_path / "net.onnx"), save=tmp_path / "out", target_macs=0.5))
    assert run(InfoConfig(model=result["file"]))["plan"]["criterion"] == "l2_norm"


def test_code_for_an_onnx_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="says by itself what it is"):
        run(InfoConfig(model=classifier(tmp_path / "net.onnx"), arch="nets.py:net"))


def test_how_images_are_normalised(tmp_path):
    path = classifier(tmp_path / "net.onnx")
    said = {"dataset": {"mean": [0.5] * 3, "std": [0.25] * 3, "class_names": ["a", "b", "c"]}}
    path.write_bytes(with_facts(onnx.load(path), said))
    facts = run(InfoConfig(model=path))
    assert (facts["mean"], facts["std"], facts["class names"]) == ([0.5] * 3, [0.25] * 3, 3)
