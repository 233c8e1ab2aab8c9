"""OpenVINO's own files in float -> the same with quantised layers, by NNCF."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netslim.core.errors import NetslimError, UsageError, first_line
from netslim.deploy.formats.openvino_runtime import files_of, model_of, openvino_function, precisions
from netslim.deploy.formats.signal_stack import signal_stack_kept
from netslim.deploy.int8.quantizer import Function, Quantizer, check_differ, no_layers, single

_LAYERS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul")
_RUN_AS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")  # by the run time
_FEW = 16  # images for a layer alone, which is only compared with other layers


class NncfQuantizer(Quantizer):
    """NNCF's post-training quantisation: weights per channel, biases corrected for what rounding moves.

    Args:
        files: the float model's, by name.
        images: batches that ranges are measured on, one image at a time.

    Raises:
        DataError: the images are all the same.
        NetslimError: NNCF can't take this model.
        UsageError: it is not installed.
    """

    run_time = "OpenVINO"

    def __init__(self, files: Mapping[str, bytes], images: Sequence[Tensor]) -> None:
        check_differ(images)
        self.float_content, self.integers = files, "by NNCF"
        self._images = [batch[row : row + 1].detach().cpu().numpy() for batch in images for row in range(len(batch))]
        self.layers = [op.friendly_name for op in model_of(files).get_ordered_ops() if _is_layer(op)]
        if not self.layers:
            raise no_layers()

    def model(
        self, in_float: Collection[str] = (), *, around: bool = True, only: str | None = None
    ) -> dict[str, bytes]:
        """The files in int8, as `Quantizer.model` says; what is around layers is the run time's to choose."""
        assert around  # noqa: S101  (the only kind)
        left = [name for name in self.layers if name != only] if only else list(in_float)
        images = self._images[:_FEW] if only else self._images
        with _quiet_nncf() as nncf, signal_stack_kept():
            made = nncf.quantize(
                model_of(self.float_content),
                nncf.Dataset(images),
                subset_size=len(images),
                ignored_scope=nncf.IgnoredScope(names=left) if left else None,
            )
        return files_of(made)

    def function(self, content: Mapping[str, bytes]) -> Function:
        """On as many threads as torch has."""
        run = openvino_function(content, torch.get_num_threads())
        return lambda images: single(run(images))

    def layers_in_int8(self, content: Mapping[str, bytes]) -> int:
        """In the graph that OpenVINO runs."""
        return sum(kind in _RUN_AS and numbers in ("i8", "u8") for kind, numbers in precisions(content))

    def size(self, content: Mapping[str, bytes]) -> int:
        """Of both files."""
        return sum(map(len, content.values()))


def _is_layer(op: Any) -> bool:
    """Whether it has weights."""
    if op.get_type_name() not in _LAYERS:
        return False
    source = op.input_value(1).get_node()
    while source.get_input_size():
        source = source.input_value(0).get_node()
    return bool(source.get_type_name() == "Constant")


@contextmanager
def _quiet_nncf() -> Iterator[Any]:
    """NNCF without its progress bars, and without its messages to its makers, which it sends unless this is set."""
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            import nncf

            nncf.set_log_level(40)  # errors
            yield nncf
    except ImportError as error:
        raise UsageError(
            "int8 for OpenVINO needs the package nncf, which is not installed; type pip install 'netslim[openvino]'"
        ) from error
    except Exception as error:  # its errors have no common base but this
        raise NetslimError(f"NNCF can't quantise this network: {first_line(error)}") from error
    finally:
        if before is None:
            os.environ.pop("NNCF_CI", None)
        else:
            os.environ["NNCF_CI"] = before
