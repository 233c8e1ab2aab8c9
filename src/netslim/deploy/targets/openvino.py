"""Target `openvino`: OpenVINO's own files, for its run time on Intel and ARM processors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

from netslim.core.safetensors_folder import CONFIG, check_hashes, read_facts, write_files
from netslim.deploy.formats.openvino_runtime import XML, openvino_files, openvino_function
from netslim.deploy.signature import ExportInputs
from netslim.deploy.target import TARGETS, Bundle, Run, Runnable, Start, Target, input_of
from netslim.deploy.targets.onnx import onnx_bytes


class OpenVinoTarget(Target):
    """A folder: `model.xml`, `model.bin` and `config.json`."""

    def caller(self, network: fx.GraphModule, example: Tensor) -> Callable[[], object]:
        """OpenVINO on as many threads as torch has."""
        two = example if len(example) > 1 else example.expand(2, *example.shape[1:]).contiguous()
        return start_openvino(onnx_bytes(network, two))("openvino", example, torch.get_num_threads())

    def write(self, bundle: Bundle, path: Path) -> None:
        """Reads it as ONNX, and writes both files."""
        write_files(path, openvino_files(onnx_bytes(bundle.network, bundle.example)), bundle.facts)

    def open(self, bundle: Bundle, path: Path) -> Run:  # noqa: ARG002
        """Runs the files with OpenVINO."""
        check_hashes(path, read_facts(path / CONFIG))
        run = openvino_function(path / XML, torch.get_num_threads())
        return lambda *args, **kwargs: run(*ExportInputs(args, kwargs).tensors)

    def recognises(self, path: Path, facts: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether the facts of a folder say so."""
        return facts.get("target") == "openvino"

    def runnable(self, path: Path, facts: Mapping[str, Any]) -> Runnable:
        """OpenVINO; the folder's facts say the rest."""
        self.check("openvino")
        check_hashes(path, facts)
        return Runnable(start=start_openvino(path / XML), **input_of(facts))


def start_openvino(model: bytes | Path) -> Start:
    """Runs an ONNX file's content, or an .xml file."""

    def start(_: str, images: Tensor, threads: int) -> Callable[[], object]:
        run = openvino_function(model, threads)
        return lambda: run(images)

    return start


TARGETS.register("openvino")(
    OpenVinoTarget(bounds=False, engines=("openvino",), packages=("openvino", "onnx"), extra="openvino")
)
