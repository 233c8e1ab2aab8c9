"""An ONNX file as a network that ONNX Runtime runs, for what only looks at outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.core.files import check_readable
from netslim.deploy import TARGETS
from netslim.deploy.formats.onnx_hash import check_seal, facts_in
from netslim.deploy.formats.onnx_runtime import onnx_session, run_session, said_by

_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}
_COLOURS = (1, 3)


class OnnxNetwork(nn.Module):
    """Images (N, C, H, W) to what ONNX Runtime makes of them.

    Args:
        path: the file; tensors beside it are found.

    Attributes:
        facts: what netslim wrote into the file of itself; empty for files of others.

    Raises:
        CheckpointError: the file is missing or damaged.
        UsageError: onnxruntime is not installed, or the network takes or gives something else than one tensor.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        TARGETS.get("onnx").check("onnx")
        check_readable(path)
        check_seal(path.read_bytes(), path)
        self._path, self._session = path, onnx_session(str(path), torch.get_num_threads())
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in _TYPES or len(inputs[0].shape) != 4:
            raise UsageError(
                f"{path} takes {_listed(inputs)} and gives {_listed(outputs)}: only networks that take images of real "
                f"numbers and have one output are judged"
            )
        self._type = _TYPES[inputs[0].type]
        self._batch, *sides = (side if isinstance(side, int) else None for side in inputs[0].shape)
        self._last = sides[0] not in (*_COLOURS, None) and sides[-1] in _COLOURS
        self.shape = (sides[-1], *sides[:-1]) if self._last else tuple(sides)
        self.facts = facts_in(self._session.get_modelmeta().custom_metadata_map)

    def forward(self, images: Tensor) -> Tensor:
        """Outputs for any number of images; a file for one batch size gets them in batches of it."""
        given = (images.permute(0, 2, 3, 1) if self._last else images).contiguous().to(self._type)
        parts = torch.split(given, self._batch or len(given))
        return torch.cat([self._run(part) for part in parts]).float()

    def _run(self, part: Tensor) -> Tensor:
        missing = (self._batch or len(part)) - len(part)
        whole = torch.cat([part, part[:1].expand(missing, *part.shape[1:])]) if missing else part
        try:
            found = run_session(self._session, whole)
        except Exception as error:  # its exceptions have no common base but this
            raise NetslimError(f"ONNX Runtime can't run {self._path} on these images: {said_by(error)}") from error
        if not isinstance(found, Tensor) or len(found) != len(whole):
            raise CheckpointError(f"{self._path} gives no output for each image")
        return found[: len(part)]


def _listed(ports: Any) -> str:
    return ", ".join(f"{port.name} {port.type}{port.shape}" for port in ports)
