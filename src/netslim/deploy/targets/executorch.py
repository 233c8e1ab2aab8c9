"""Target `executorch`: torch's program for phones and boards, on XNNPACK's kernels for ARM and x86 processors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError, NetslimError, first_line
from netslim.deploy.folder_target import FolderTarget, Infer, for_one_image, in_turn
from netslim.deploy.quiet import quiet
from netslim.deploy.signature import Example
from netslim.deploy.target import TARGETS

PTE = "model.pte"


class ExecuTorchTarget(FolderTarget):
    """A folder: `model.pte`, whose method `forward` takes one image, and `config.json`."""

    def files(self, network: nn.Module, example: Example) -> dict[str, bytes]:
        """Exports for one image, and gives XNNPACK what it can run; the rest runs in ExecuTorch's own kernels."""
        with quiet():
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import to_edge_transform_and_lower

            try:
                flat, one = for_one_image(network, example)
                with torch.no_grad():
                    program = torch.export.export(flat, one, strict=False)
                lowered: Any = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
                return {PTE: lowered.to_executorch().buffer}
            except Exception as error:  # torch's, the network's own, and whatever a lowering raises
                raise NetslimError(f"ExecuTorch can't take this network: {first_line(error)}") from error

    def function(self, folder: Path, threads: int) -> Infer:
        """Runs the method `forward`, for each image in turn."""
        program = _Program(folder / PTE)
        program.ready(threads)
        return in_turn(lambda *inputs: program.ready(threads)(inputs))


class _Program:
    """A file, loaded anew whenever the number of threads changed: that is of the process, and ends what was loaded."""

    changes = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._method: Any = None
        self._loaded_at = -1

    def ready(self, threads: int) -> Callable[[Sequence[Tensor]], list[Tensor]]:
        """Raises CheckpointError for a file that is none of ExecuTorch's."""
        with quiet():
            from executorch.extension.pybindings import portable_lib
            from executorch.runtime import Runtime

        if portable_lib._threadpool_get_thread_count() != threads:
            portable_lib._unsafe_reset_threadpool(threads)
            _Program.changes += 1
        if self._loaded_at != _Program.changes:
            try:
                self._method = Runtime.get().load_program(self._path).load_method("forward")
            except Exception as error:  # RuntimeError of its C++ code
                raise CheckpointError(f"ExecuTorch can't read {self._path}: {first_line(error)}") from error
            self._loaded_at = _Program.changes
        return self._run

    def _run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [output.clone() for output in self._method.execute([given.cpu() for given in inputs])]  # its own memory


TARGETS.register("executorch")(
    ExecuTorchTarget(
        summary="for phones", clamp=False, engines=("executorch",), packages=("executorch",), extra="executorch"
    )
)
