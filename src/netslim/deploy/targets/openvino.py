"""Target `openvino`: OpenVINO's own files, for its run time on Intel and ARM processors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from netslim.deploy.folder_target import FolderTarget, Infer
from netslim.deploy.formats.openvino_runtime import XML, openvino_files, openvino_function
from netslim.deploy.signature import Example
from netslim.deploy.target import TARGETS
from netslim.deploy.targets.onnx import onnx_bytes


class OpenVinoTarget(FolderTarget):
    """A folder: `model.xml`, `model.bin` and `config.json`."""

    def caller(self, network: fx.GraphModule, example: Tensor) -> Callable[[], object]:
        """OpenVINO on as many threads as torch has."""
        two = example if len(example) > 1 else example.expand(2, *example.shape[1:]).contiguous()
        run = openvino_function(onnx_bytes(network, two), torch.get_num_threads())
        return lambda: run(example)

    def files(self, network: nn.Module, example: Example) -> dict[str, bytes]:
        """Reads it as ONNX."""
        return openvino_files(onnx_bytes(network, example))

    def function(self, folder: Path, threads: int) -> Infer:
        """Runs the files with OpenVINO."""
        return openvino_function(folder / XML, threads)


TARGETS.register("openvino")(
    OpenVinoTarget(bounds=False, engines=("openvino",), packages=("openvino", "onnx"), extra="openvino")
)
