"""Target `pt2`: torch's exported program, for `torch.export.load`, `torch.compile` and AOTInductor."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from netslim.core.errors import NetslimError, first_line
from netslim.core.files import atomic_write
from netslim.deploy.formats.pt2_archive import load_program, seal
from netslim.deploy.signature import ExportInputs
from netslim.deploy.target import TARGETS, Bundle, Run, Runnable, Target, input_of, start_with_torch, without_gradients


class ExportedProgramTarget(Target):
    """One file, with the facts in it under `netslim.json` and a hash of all that it holds."""

    def write(self, bundle: Bundle, path: Path) -> None:
        """Traces with two inputs or more: torch takes one for a constant."""
        inputs, buffer = ExportInputs.of(bundle.example).several(), io.BytesIO()
        shapes = inputs.dynamic_shapes(bundle.network.forward, torch.export.Dim("batch"))
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                program = torch.export.export(
                    bundle.network, inputs.args, inputs.kwargs, dynamic_shapes=shapes, strict=False
                )
            except Exception as error:  # whatever torch or the network's own code raises at a symbol
                raise NetslimError(
                    f"torch can't export this network for any batch size: {first_line(error)}"
                ) from error
            torch.export.save(program, buffer, extra_files={"netslim.json": json.dumps(bundle.facts)})
        atomic_write(path, seal(buffer.getvalue()))

    def open(self, bundle: Bundle, path: Path) -> Run:  # noqa: ARG002
        """Runs the program with torch."""
        return without_gradients(load_program(path)[0])

    def runnable(self, path: Path, facts: Mapping[str, Any]) -> Runnable:  # noqa: ARG002
        """Torch; the file's own facts say the rest."""
        program, own = load_program(path)
        return Runnable(start=start_with_torch(program), **input_of(own))


TARGETS.register("pt2")(ExportedProgramTarget(suffix=".pt2", engines=("eager", "compiled"), layouts=("nchw", "nhwc")))
