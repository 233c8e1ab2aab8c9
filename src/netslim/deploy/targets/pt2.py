"""Target `pt2`: torch's exported program, for `torch.export.load`, `torch.compile` and AOTInductor."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from netslim.core.errors import CheckpointError
from netslim.core.files import atomic_write
from netslim.deploy.signature import Inputs
from netslim.deploy.target import TARGETS, Bundle, Run, Runnable, Target, input_of, start_with_torch, without_gradients


class ExportedProgramTarget(Target):
    """One file, with the facts in it under `netslim.json`."""

    def write(self, bundle: Bundle, path: Path) -> None:
        """Traces with two inputs or more: torch takes one for a constant."""
        inputs, buffer = Inputs.of(bundle.example).several(), io.BytesIO()
        shapes = inputs.dynamic_shapes(bundle.network.forward, torch.export.Dim("batch"))
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                bundle.network, inputs.args, inputs.kwargs, dynamic_shapes=shapes, strict=False
            )
            torch.export.save(program, buffer, extra_files={"netslim.json": json.dumps(bundle.facts)})
        atomic_write(path, buffer.getvalue())

    def open(self, bundle: Bundle, path: Path) -> Run:  # noqa: ARG002
        """Runs the program with torch."""
        return without_gradients(torch.export.load(io.BytesIO(path.read_bytes())).module())

    def runnable(self, path: Path, facts: Mapping[str, Any]) -> Runnable:  # noqa: ARG002
        """Torch; the file's own facts say the rest."""
        extra: dict[str, Any] = {"netslim.json": ""}
        try:
            program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=extra).module()
        except (RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise CheckpointError(f"{path} is damaged or no exported program: {str(error).splitlines()[0]}") from error
        return Runnable(start=start_with_torch(program), **input_of(json.loads(extra["netslim.json"] or "{}")))


TARGETS.register("pt2")(ExportedProgramTarget(suffix=".pt2", engines=("eager", "compiled"), layouts=("nchw", "nhwc")))
