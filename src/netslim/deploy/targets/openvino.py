"""Target `openvino`: OpenVINO's own files, for its run time on Intel and ARM processors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from netslim.core.safetensors_folder import CONFIG, HASHES, read_facts, write_files
from netslim.deploy.folder_target import FolderTarget, Infer
from netslim.deploy.formats.openvino_runtime import BIN, XML, files_of, model_of, openvino_function
from netslim.deploy.inference import two_of
from netslim.deploy.int8.convert import quantized
from netslim.deploy.int8.nncf_quantizer import NncfQuantizer
from netslim.deploy.int8.onnx_quantizer import in_int8_for_timing
from netslim.deploy.int8.request import Quantization, Quantized
from netslim.deploy.signature import Example
from netslim.deploy.target import TARGETS
from netslim.deploy.targets.onnx import onnx_bytes, start_onnx


class OpenVinoTarget(FolderTarget):
    """A folder: `model.xml`, `model.bin` and `config.json`."""

    def caller(self, network: fx.GraphModule, example: Tensor) -> Callable[[], object]:
        """OpenVINO on as many threads as torch has."""
        return start_onnx(onnx_bytes(network, two_of(example)))("openvino", example, torch.get_num_threads())

    def caller_in_int8(self, network: fx.GraphModule, example: Tensor) -> Callable[[], object]:
        """The same of what ONNX Runtime's quantiser makes of it, which needs no images."""
        content = in_int8_for_timing(onnx_bytes(network, two_of(example)))
        return start_onnx(content)("openvino", example, torch.get_num_threads())

    def files(self, network: nn.Module, example: Example) -> dict[str, bytes]:
        """Reads it as ONNX."""
        return files_of(model_of(onnx_bytes(network, example)))

    def function(self, folder: Path, threads: int) -> Infer:
        """Runs the files with OpenVINO."""
        return openvino_function(folder / XML, threads)

    def quantize(self, path: Path, request: Quantization, source: Path) -> Quantized:
        """By NNCF; the files stay as they are if float is faster and int8 is no must."""
        plain, files = ({name: (folder / name).read_bytes() for name in (XML, BIN)} for folder in (path, source))
        found = quantized(lambda: NncfQuantizer(files, request.images), request, plain)
        if found.written:
            assert isinstance(found.content, Mapping)  # noqa: S101  (files by name)
            facts = {key: value for key, value in read_facts(source / CONFIG).items() if key != HASHES}
            write_files(path, found.content, {**facts, "int8": found.facts()})
        return found


TARGETS.register("openvino")(
    OpenVinoTarget(clamp=False, has_int8=True, engines=("openvino",), packages=("openvino", "onnx"), extra="openvino")
)
