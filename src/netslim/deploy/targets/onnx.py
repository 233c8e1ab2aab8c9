"""Target `onnx`: for ONNX Runtime and everything else that reads ONNX."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from netslim.core.errors import NetslimError, UsageError, first_line
from netslim.core.files import atomic_write
from netslim.cost import measure
from netslim.deploy.formats.onnx_graph import NotWrittenError, onnx_model
from netslim.deploy.formats.onnx_half import halved
from netslim.deploy.formats.onnx_hash import check_seal, facts_in, seal
from netslim.deploy.formats.onnx_runtime import onnx_session, run_session
from netslim.deploy.formats.openvino_runtime import openvino_function
from netslim.deploy.inference import two_of
from netslim.deploy.int8.convert import quantized
from netslim.deploy.int8.onnx_quantizer import OnnxQuantizer, in_int8_for_timing
from netslim.deploy.int8.processor import integers
from netslim.deploy.int8.request import Quantization, Quantized
from netslim.deploy.signature import Example, ExportInputs, FlatNetwork, named_tensors
from netslim.deploy.target import TARGETS, Bundle, Run, Runnable, Start, Target
from netslim.models.onnx_import import load_onnx, source_of


class OnnxTarget(Target):
    """One file, weights included, with the facts in its metadata under `netslim`, and a hash."""

    def caller(self, network: fx.GraphModule, example: Tensor) -> Callable[[], object]:
        """ONNX Runtime on as many threads as torch has; torch itself where only its slow exporter could write it."""
        try:
            model = onnx_model(network, {})
        except NotWrittenError:
            return super().caller(network, example)
        return start_onnx(model.SerializeToString())("onnxruntime", example, torch.get_num_threads())

    def caller_in_int8(self, network: fx.GraphModule, example: Tensor) -> Callable[[], object]:
        """ONNX Runtime on as many threads as torch has."""
        content = in_int8_for_timing(onnx_bytes(network, two_of(example)))
        return start_onnx(content)("onnxruntime", example, torch.get_num_threads())

    def write(self, bundle: Bundle, path: Path) -> None:
        """Writes the model after ONNX's own checker has passed it."""
        import onnx

        _check_numbers(bundle.network)
        model = _model(bundle.network, bundle.example, {"netslim": json.dumps(bundle.facts)})
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise NetslimError(f"ONNX's checker refused the model: {first_line(error)}") from error
        atomic_write(path, seal(model.SerializeToString()))

    def open(self, bundle: Bundle, path: Path) -> Run:  # noqa: ARG002
        """Runs the file with ONNX Runtime."""
        content = path.read_bytes()
        check_seal(content, path)
        session = onnx_session(content, torch.get_num_threads())
        return lambda *args, **kwargs: run_session(session, *ExportInputs(args, kwargs).tensors)

    def quantize(self, path: Path, request: Quantization, source: Path) -> Quantized:
        """By ONNX Runtime's quantizer; the file stays as it is if float is faster and int8 is no must."""
        content = source.read_bytes()
        make = partial(OnnxQuantizer, content, request.images, integers())
        found = quantized(make, request, path.read_bytes())
        if found.written:
            assert isinstance(found.content, bytes)  # noqa: S101  (one file)
            atomic_write(path, found.content)
        return found

    def halve(self, path: Path) -> None:
        """Weights as float16, each before a Cast."""
        atomic_write(path, halved(path.read_bytes()))

    def runnable(self, path: Path, facts: Mapping[str, Any]) -> Runnable:
        """ONNX Runtime; the file's metadata says the rest."""
        self.check("onnx")
        content = path.read_bytes()
        check_seal(content, path)
        session = onnx_session(content, 1)
        inputs = session.get_inputs()
        if len(inputs) != 1:
            raise UsageError(f"{path} takes {len(inputs)} inputs: only networks of one can be compared")
        if inputs[0].type != "tensor(float)":
            raise UsageError(f"{path} takes {inputs[0].type}: only networks that take float32 are timed")
        facts = facts_in(session.get_modelmeta().custom_metadata_map)
        shape = inputs[0].shape[1:]
        fixed = tuple(shape) if all(isinstance(side, int) for side in shape) else None
        return Runnable(start=start_onnx(content), shape=fixed, macs=_macs(path, facts))


def _macs(path: Path, facts: Mapping[str, Any]) -> int | None:
    """For one input, as netslim wrote it, or as the graph is read; None where that can't be, as of int8 of others."""
    said = facts.get("macs")
    if isinstance(said, int):
        return said
    try:
        network = load_onnx(path)
        source = source_of(network)
        known = source is not None and not any(source.inputs[0].free[1:])  # else it depends on the images
        return measure(network, source.example(1)).macs if source and known else None
    except NetslimError:
        return None


def start_onnx(content: bytes) -> Start:
    """Runs the content of an ONNX file, by ONNX Runtime or OpenVINO."""

    def start(engine: str, images: Tensor, threads: int) -> Callable[[], object]:
        if engine == "openvino":
            run = openvino_function(content, threads)
            return lambda: run(images)
        session = onnx_session(content, threads)
        batch = session.get_inputs()[0].shape[0]
        if isinstance(batch, int) and batch != len(images):
            raise UsageError(
                f"an ONNX file takes {batch} images per call, not {len(images)}: type `batch_sizes={batch}`"
            )
        return lambda: run_session(session, images)

    return start


def onnx_bytes(network: nn.Module, example: Example) -> bytes:
    """A network as an ONNX file's content."""
    content: bytes = _model(network, example, {}).SerializeToString()
    return content


def _check_numbers(network: nn.Module) -> None:
    """Raises UsageError for convolutions with numbers of 64 bits, which ONNX Runtime does not have."""
    if any(tensor.dtype == torch.float64 and tensor.dim() > 2 for tensor in network.parameters()):
        raise UsageError(
            "this network's numbers have 64 bits, and ONNX Runtime's convolutions take 32: give `model.float()`, and "
            "an example of such numbers"
        )


def _model(network: nn.Module, example: Example, facts: Mapping[str, str]) -> Any:
    if isinstance(network, fx.GraphModule):
        try:
            return onnx_model(network, facts)
        except NotWrittenError:
            pass  # torch's exporter knows more kinds of nodes
    return _by_torch(network, example, facts)


def _by_torch(network: nn.Module, example: Example, facts: Mapping[str, str]) -> Any:
    from onnx import helper

    inputs = ExportInputs.of(example).several()
    flat, leaves = FlatNetwork(network, inputs).eval(), inputs.tensors
    with torch.no_grad():
        outputs = named_tensors(network(*inputs.map(Tensor.clone).args, **inputs.map(Tensor.clone).kwargs), "output")
    batch = torch.export.Dim("batch")
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                flat,
                tuple(leaves),
                dynamo=True,
                verbose=False,
                input_names=inputs.names,
                output_names=[f"{name}_output" if name in inputs.names else name for name in outputs],
                dynamic_shapes=(tuple({0: batch} if inputs.batched(leaf) else None for leaf in leaves),),
            )
    except ImportError as error:
        raise NetslimError(
            f"this network has operations that only torch's exporter writes to ONNX, which needs onnxscript ({error}); "
            f"type pip install 'netslim[export]'"
        ) from error
    except Exception as error:  # torch's exporter wraps whatever happened
        why = first_line(error.__cause__ or error)  # its own text is how to report it
        raise NetslimError(f"torch can't write this network as ONNX: {why}") from error
    finally:
        logger.setLevel(level)
    model = program.model_proto
    for given, leaf in zip(model.graph.input, leaves, strict=True):
        if inputs.batched(leaf) and given.type.tensor_type.shape.dim[0].dim_value:
            raise NetslimError(
                f"torch writes this network as ONNX for batches of {len(leaf)} alone: its code compares the batch's "
                f"size, or keeps what it made for one size; `torch.onnx.export(model, images, path)` writes such a file"
            )
    helper.set_model_props(model, dict(facts))
    return _without_traces(model)


def _without_traces(model: Any) -> Any:
    """Without what torch writes of every node: the source lines that it came from, and the paths of their files."""
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]
    return model


TARGETS.register("onnx")(
    OnnxTarget(
        suffix=".onnx",
        clamp=False,
        engines=("onnxruntime", "openvino"),
        has_int8=True,
        has_half=True,
        packages=("onnx", "onnxruntime"),
    )
)
