"""Target `pt2`: torch's exported program, for `torch.export.load`, `torch.compile` and AOTInductor."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import torch

from netslim.core.files import atomic_write
from netslim.deploy.target import TARGETS, Bundle, Run, Target, without_gradients


class ExportedProgramTarget(Target):
    """One file, with the facts in it under `netslim.json`."""

    suffix = ".pt2"
    layouts = ("nchw", "nhwc")

    def write(self, bundle: Bundle, path: Path) -> None:
        """Traces with two images, the first number that torch does not take for a constant."""
        example = bundle.example[:2]
        shapes = ({0: torch.export.Dim("batch")},)
        buffer = io.BytesIO()
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(bundle.network, (example,), dynamic_shapes=shapes, strict=False)
            torch.export.save(program, buffer, extra_files={"netslim.json": json.dumps(bundle.facts)})
        atomic_write(path, buffer.getvalue())

    def open(self, bundle: Bundle, path: Path) -> Run:  # noqa: ARG002
        """Runs the program with torch."""
        return without_gradients(torch.export.load(io.BytesIO(path.read_bytes())).module())


TARGETS.register("pt2")(ExportedProgramTarget())
