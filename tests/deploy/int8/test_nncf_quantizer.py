"""Int8 in OpenVINO's own files."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from int8_networks import IMAGES, Net, content
from torch import nn

import netslim
from installed import needs
from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.deploy.formats.openvino_runtime import BIN, files_of, model_of
from netslim.deploy.int8.nncf_quantizer import NncfQuantizer
from netslim.deploy.int8.request import Quantization
from netslim.deploy.opening import open_file

needs("openvino")


def quantizer(model: nn.Module) -> NncfQuantizer:
    return NncfQuantizer(files_of(model_of(content(model))), [IMAGES])


def test_without_the_package_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    found = quantizer(Net().eval())
    with pytest.raises(UsageError, match=r"needs the package nncf, .* type pip install 'netslim\[openvino\]'"):
        found.model()


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(NetslimError, match="no convolution and no matrix product with weights"):
        quantizer(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)).eval())


@pytest.mark.slow
def test_layers_run_in_int8_or_stay_in_float() -> None:
    needs("nncf")
    found = quantizer(Net().eval())
    assert (len(found.layers), found.layers_in_int8(found.float_content)) == (5, 0)
    right, first = found.function(found.float_content)(IMAGES), found.layers[0]
    for made, count in (
        (found.model(), 5), (found.model([first]), 4), (found.model(only=first), 1),
    ):  # fmt: skip
        assert found.layers_in_int8(made) == count
        assert 0 < (found.function(made)(IMAGES) - right).norm() < 0.05 * right.norm()
    assert "NNCF_CI" not in os.environ


@pytest.mark.slow
def test_a_folder_in_int8_says_so_and_is_sealed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    needs("nncf")
    model, path = Net().eval(), tmp_path / "net"
    right = model(IMAGES).argmax(1)
    request = Quantization(
        images=[IMAGES], judge=lambda run: float((run(IMAGES).argmax(1) == right).float().mean()),
        allowed=0.1, always=True, seconds=0.01,
    )  # fmt: skip
    done = netslim.export(model, IMAGES[:2], path, "openvino", numbers=request).int8
    assert done is not None
    assert capfd.readouterr().out == ""  # its bars stay away
    assert (done.run_time, done.layers_int8, done.judged_int8) == ("OpenVINO", 5, 1.0)
    facts = json.loads((path / "config.json").read_text())
    assert facts["int8"]["layers_int8"] == 5
    found = open_file(path, lambda _: model).call("openvino", IMAGES, None, 1)()
    assert isinstance(found, torch.Tensor)
    assert found.argmax(1).tolist() == right.tolist()
    (path / BIN).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"model\.bin is damaged"):
        open_file(path, lambda _: model)
