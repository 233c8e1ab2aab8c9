"""Networks in OpenVINO, where it is installed."""

from pathlib import Path

import pytest
import torch
from torch import nn

from installed import needs
from netslim.core.errors import CheckpointError
from netslim.deploy.formats.openvino_runtime import (
    BIN,
    XML,
    files_of,
    model_of,
    openvino_function,
    precisions,
    profiled_openvino,
)
from netslim.deploy.inference import for_inference
from netslim.deploy.target import TARGETS
from netslim.deploy.targets.onnx import onnx_bytes

needs("openvino")
IMAGES = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(CheckpointError, match="OpenVINO can't read the model"):
        openvino_function(b"no model", 1)
    assert "openvino" in TARGETS.names()


def test_its_own_files_compute_what_the_onnx_file_does(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()
    content = onnx_bytes(for_inference(model, IMAGES), IMAGES)
    files = files_of(model_of(content))
    assert sorted(files) == [BIN, XML]
    for name, written in files.items():
        (tmp_path / name).write_bytes(written)
    for given in (content, tmp_path / XML, files):
        found = openvino_function(given, 1)(IMAGES)
        torch.testing.assert_close(found, model(IMAGES).detach(), rtol=1e-4, atol=1e-5)


def test_its_nodes_say_how_long_they_took() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    run, shapes = profiled_openvino(onnx_bytes(for_inference(model, IMAGES), IMAGES), 1)
    assert shapes == [[0, 3, 6, 6]]
    nodes = run([IMAGES.numpy()])
    assert "Convolution" in {kind for _, kind, _ in nodes}
    assert all(0 <= seconds < 1 for _, _, seconds in nodes)


def test_what_it_runs_is_told_by_kind_and_numbers() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    assert ("Convolution", "f32") in precisions(onnx_bytes(for_inference(model, IMAGES), IMAGES))
