"""Target `litert`: LiteRT's (TensorFlow Lite's) file, for Android, iOS and boards."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError, NetslimError, first_line
from netslim.deploy.folder_target import FolderTarget, Infer, for_one_image, in_turn
from netslim.deploy.quiet import quiet
from netslim.deploy.signature import Example
from netslim.deploy.target import TARGETS

TFLITE = "model.tflite"


class LiteRtTarget(FolderTarget):
    """A folder: `model.tflite`, which takes one image (1, C, H, W), and `config.json`."""

    def files(self, network: nn.Module, example: Example) -> dict[str, bytes]:
        """Converts it for one image."""
        with quiet():
            import litert_torch

            litert_torch.config.show_progress = False
            flat, one = for_one_image(network, example)
            try:
                return {TFLITE: litert_torch.convert(flat, one).model_content()}
            except Exception as error:  # torch's, the network's own, and whatever a lowering raises
                raise NetslimError(f"LiteRT can't take this network: {first_line(error)}") from error

    def function(self, folder: Path, threads: int) -> Infer:
        """Runs the file with LiteRT's interpreter, for each image in turn."""
        with quiet():
            from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(str(folder / TFLITE), num_threads=threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise CheckpointError(f"LiteRT can't read {folder / TFLITE}: {first_line(error)}") from error
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()

        def run(*given: Tensor) -> list[Tensor]:
            for place, tensor in zip(inputs, given, strict=True):
                interpreter.set_tensor(place["index"], tensor.cpu().numpy())
            interpreter.invoke()
            return [torch.from_numpy(interpreter.get_tensor(place["index"])) for place in outputs]

        return in_turn(run)


TARGETS.register("litert")(
    LiteRtTarget(
        summary="TensorFlow Lite",
        clamp=False,
        engines=("litert",),
        packages=("litert_torch", "ai_edge_litert"),
        extra="litert",
    )
)
