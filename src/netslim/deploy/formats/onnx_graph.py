"""A network for inference as an ONNX model, node by node.

torch's own exporters take a minute for a deep network, and need onnxscript; the few kinds of nodes that are left after
`for_inference` are written directly, in a second. A network with any other kind goes through torch's exporter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, fx, nn

from netslim.deploy.fx_graph import dims_of, is_norm, layer_of, name_of, pooling_of, sources
from netslim.deploy.signature import named_tensors

_UNEXPECTED = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
OPSET, IR_VERSION = 17, 8  # of 2022: read by every current run time
_RENAMED = {
    **{"ReLU": "Relu", "relu": "Relu", "Sigmoid": "Sigmoid", "sigmoid": "Sigmoid", "Tanh": "Tanh", "tanh": "Tanh"},
    **{"Hardswish": "HardSwish", "hardswish": "HardSwish"},
    **{"add": "Add", "iadd": "Add", "sub": "Sub", "mul": "Mul", "imul": "Mul"},
}


class NotWrittenError(Exception):
    """A node of a kind that is not written here."""


def onnx_model(network: fx.GraphModule, facts: Mapping[str, str]) -> Any:
    """The ONNX model of a network from `for_inference`; the batch size is free.

    Args:
        network: its nodes have shapes.
        facts: written into the model's metadata.

    Raises:
        NotWrittenError: a kind of node that is not known here.
    """
    return _Writer(network).model(facts)


class _Writer:
    def __init__(self, network: fx.GraphModule) -> None:
        from onnx import helper, numpy_helper

        self._helper, self._numpy = helper, numpy_helper
        self._network = network
        self._nodes: list[Any] = []
        self._tensors: dict[str, Any] = {}

    def model(self, facts: Mapping[str, str]) -> Any:
        inputs, outputs = [], []
        for node in self._network.graph.nodes:
            if node.op == "placeholder":
                inputs.append(self._value(node.name, node))
            elif node.op == "output":
                outputs = self._outputs(node)
            elif node.op != "get_attr":
                self._write(node)
        helper = self._helper
        graph = helper.make_graph(self._nodes, "network", inputs, outputs, list(self._tensors.values()))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="netslim")
        made.ir_version = IR_VERSION
        helper.set_model_props(made, dict(facts))
        return made

    def _write(self, node: fx.Node) -> None:
        rule = _rule(node)
        try:
            rule(self, node)
        except _UNEXPECTED as error:  # called in a way that the rule was not made for
            raise NotWrittenError(f"{name_of(node)} as it is called here") from error

    def _outputs(self, output: fx.Node) -> list[Any]:
        """Named by their paths; what has such a name inside the network gets another."""
        found = _named_nodes(output.args[0])
        if any(node.name in found for node in self._network.graph.nodes if node.op == "placeholder"):
            raise NotWrittenError("an output with the name of an input")
        taken = {name: f"{name}.inner" for name in found}
        for written in self._nodes:
            written.input[:] = [taken.get(name, name) for name in written.input]
            written.output[:] = [taken.get(name, name) for name in written.output]
            written.name = taken.get(written.name, written.name)
        for name in taken.keys() & self._tensors.keys():
            self._tensors[name].name = taken[name]
        for name, node in found.items():
            self._add("Identity", [taken.get(node.name, node.name)], name)
        return [self._value(name, node) for name, node in found.items()]

    def _value(self, name: str, node: fx.Node) -> Any:
        if node.meta["shape"] is None or node.meta["tensor_meta"].dtype != torch.float32:
            raise NotWrittenError("numbers other than float32")
        return self._helper.make_tensor_value_info(name, 1, ["batch", *node.meta["shape"][1:]])  # 1: float32

    def _add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        self._nodes.append(self._helper.make_node(kind, list(inputs), [output], name=output, **attributes))

    def _tensor(self, name: str, value: Tensor | np.ndarray[Any, Any]) -> str:
        array = value.detach().cpu().contiguous().numpy() if isinstance(value, Tensor) else value
        self._tensors[name] = self._numpy.from_array(np.ascontiguousarray(array), name)
        return name

    def conv(self, node: fx.Node) -> None:
        """A convolution with zero padding."""
        layer = cast(nn.Conv2d, layer_of(node))
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise NotWrittenError(f"padding {layer.padding_mode}")
        parameters = [self._tensor(f"{node.target}.weight", layer.weight)]
        if layer.bias is not None:
            parameters.append(self._tensor(f"{node.target}.bias", layer.bias))
        self._add(
            "Conv",
            [*_names(node), *parameters],
            node.name,
            kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride),
            pads=[*layer.padding, *layer.padding],
            dilations=list(layer.dilation),
            group=layer.groups,
        )

    def norm(self, node: fx.Node) -> None:
        """A BatchNorm that no convolution could take in."""
        layer = cast(nn.BatchNorm2d, layer_of(node))
        if not is_norm(layer):
            raise NotWrittenError("a BatchNorm without statistics")
        mean, variance = cast(Tensor, layer.running_mean), cast(Tensor, layer.running_var)
        scale = layer.weight if layer.weight is not None else variance.new_ones(layer.num_features)
        shift = layer.bias if layer.bias is not None else variance.new_zeros(layer.num_features)
        values = {"weight": scale, "bias": shift, "mean": mean, "variance": variance}
        names = [self._tensor(f"{node.target}.{name}", value) for name, value in values.items()]
        self._add("BatchNormalization", [*_names(node), *names], node.name, epsilon=layer.eps)

    def linear(self, node: fx.Node) -> None:
        """A linear layer on (N, C)."""
        layer = cast(nn.Linear, layer_of(node))
        if len(node.meta["shape"]) != 2:
            raise NotWrittenError("a linear layer on more than two dimensions")
        parameters = [self._tensor(f"{node.target}.weight", layer.weight)]
        if layer.bias is not None:
            parameters.append(self._tensor(f"{node.target}.bias", layer.bias))
        self._add("Gemm", [*_names(node), *parameters], node.name, transB=1)

    def gather(self, node: fx.Node) -> None:
        """A selection of channels."""
        dim, holder = cast(int, node.args[1]), cast(fx.Node, node.args[2])
        index = self._tensor(str(holder.target), cast(Tensor, getattr(self._network, str(holder.target))))
        self._add("Gather", [sources(node)[0].name, index], node.name, axis=dim)

    def clamp(self, node: fx.Node) -> None:
        """Bounds, per channel or one for all; those that are infinite everywhere are left out."""
        found, sides = _names(node)[0], dict(zip(("min", "max"), node.args[1:], strict=False)) | node.kwargs
        for kind, side in (("Max", sides.pop("min", None)), ("Min", sides.pop("max", None))):
            held = isinstance(side, fx.Node) and side.op == "get_attr"
            bound: Any = getattr(self._network, str(cast(fx.Node, side).target)) if held else side
            if bound is not None and bool(torch.as_tensor(bound).isfinite().any()):
                name = f"{node.name}.{kind}"
                value = bound if held else np.array(bound, dtype=np.float32)
                self._add(kind, [found, self._tensor(f"{name}.bound", value)], name)
                found = name
        if sides:
            raise NotWrittenError("bounds with options")
        self._add("Identity", [found], node.name)

    def renamed(self, node: fx.Node) -> None:
        """An elementwise operation that ONNX has, too; numbers become tensors."""
        operands = []
        for place, operand in enumerate(node.args):
            if isinstance(operand, fx.Node):
                operands.append(operand.name)
            elif isinstance(operand, int | float):
                operands.append(self._tensor(f"{node.name}.{place}", np.array(operand, dtype=np.float32)))
        if any(key != "inplace" for key in node.kwargs) or any(n.op == "get_attr" for n in node.all_input_nodes):
            raise NotWrittenError(f"{name_of(node)} with options")
        self._add(_RENAMED[name_of(node)], operands[:2], node.name)

    def silu(self, node: fx.Node) -> None:
        """x times sigmoid(x)."""
        (source,) = _names(node)
        self._add("Sigmoid", [source], f"{node.name}.gate")
        self._add("Mul", [source, f"{node.name}.gate"], node.name)

    def hardsigmoid(self, node: fx.Node) -> None:
        """max(0, min(1, x / 6 + 1 / 2))."""
        self._add("HardSigmoid", _names(node), node.name, alpha=1 / 6, beta=0.5)

    def relu6(self, node: fx.Node) -> None:
        """Between 0 and 6."""
        bounds = [self._tensor(name, np.array(value, dtype=np.float32)) for name, value in (("zero", 0), ("six", 6))]
        self._add("Clip", [*_names(node), *bounds], node.name)

    def pool(self, node: fx.Node) -> None:
        """A pooling over windows."""
        options = pooling_of(node)
        names = {"kernel_shape": "kernel_size", "strides": "stride", "dilations": "dilation"}
        attributes: dict[str, Any] = {ours: _pair(options[theirs]) for ours, theirs in names.items()}
        attributes |= {"pads": _pair(options["padding"]) * 2, "ceil_mode": int(options["ceil_mode"])}
        if "max" in name_of(node).lower():
            self._add("MaxPool", _names(node), node.name, **attributes)
            return
        beyond = options["ceil_mode"] and any(_pair(options["padding"]))  # what is padded there counts, else not
        if options["divisor_override"] is not None or beyond:
            raise NotWrittenError("an average with a divisor of its own")
        del attributes["dilations"]  # opset 19
        counted = int(options["count_include_pad"] and not options["ceil_mode"])
        self._add("AveragePool", _names(node), node.name, count_include_pad=counted, **attributes)

    def adaptive_mean(self, node: fx.Node) -> None:
        """A mean over equal parts of the image."""
        before, after = sources(node)[0].meta["shape"][2:], node.meta["shape"][2:]
        if tuple(after) == (1, 1):
            self._add("GlobalAveragePool", _names(node), node.name)
        elif all(large % small == 0 for large, small in zip(before, after, strict=True)):
            steps = [large // small for large, small in zip(before, after, strict=True)]
            self._add("AveragePool", _names(node), node.name, kernel_shape=steps, strides=steps)
        else:
            raise NotWrittenError("parts that overlap")

    def mean(self, node: fx.Node) -> None:
        """A mean over height and width."""
        before, after = sources(node)[0].meta["shape"], node.meta["shape"]
        if len(before) != 4 or dims_of(node, 4) != {2, 3}:
            raise NotWrittenError("a mean over other dimensions")
        self._add("ReduceMean", _names(node), node.name, axes=[2, 3], keepdims=int(len(after) == 4))

    def flatten(self, node: fx.Node) -> None:
        """(N, C, H, W) to (N, CHW)."""
        before, after = sources(node)[0].meta["shape"], node.meta["shape"]
        if after != (before[0], math.prod(before[1:])):
            raise NotWrittenError("flattening of some dimensions")
        self._add("Flatten", _names(node), node.name, axis=1)

    def concatenate(self, node: fx.Node) -> None:
        """Channels one after the other."""
        parts = cast(Sequence[fx.Node], node.args[0])
        if any(part.op == "get_attr" for part in parts):
            raise NotWrittenError("a concatenation with a tensor that the network holds")
        (dim,) = dims_of(node, len(parts[0].meta["shape"])) or {0}
        self._add("Concat", [part.name for part in parts], node.name, axis=dim)

    def same(self, node: fx.Node) -> None:
        """The order in memory: ONNX has only one."""
        self._add("Identity", _names(node), node.name)


_RULES: dict[str, Callable[[_Writer, fx.Node], None]] = {
    **dict.fromkeys(_RENAMED, _Writer.renamed),
    **dict.fromkeys(("MaxPool2d", "AvgPool2d", "max_pool2d", "avg_pool2d"), _Writer.pool),
    **dict.fromkeys(("AdaptiveAvgPool2d", "adaptive_avg_pool2d"), _Writer.adaptive_mean),
    **dict.fromkeys(("SiLU", "silu"), _Writer.silu),
    **dict.fromkeys(("Hardsigmoid", "hardsigmoid"), _Writer.hardsigmoid),
    **dict.fromkeys(("ReLU6", "relu6"), _Writer.relu6),
    **dict.fromkeys(("Flatten", "flatten"), _Writer.flatten),
    **dict.fromkeys(("cat", "concat"), _Writer.concatenate),
    "Conv2d": _Writer.conv,
    "BatchNorm2d": _Writer.norm,
    "Linear": _Writer.linear,
    "index_select": _Writer.gather,
    "clamp": _Writer.clamp,
    "mean": _Writer.mean,
    "contiguous": _Writer.same,
}


def _named_nodes(output: Any) -> dict[str, fx.Node]:
    """The nodes whose values a network returns, as `signature.named_tensors` names them."""
    stand_ins: dict[int, fx.Node] = {}

    def stand_in(node: fx.Node) -> Tensor:
        tensor = torch.empty(0)
        stand_ins[id(tensor)] = node
        return tensor

    nested = fx.node.map_arg(output, stand_in)
    found = {name: stand_ins[id(tensor)] for name, tensor in named_tensors(nested, "output").items()}
    if any(node.meta["shape"] is None for node in found.values()):
        raise NotWrittenError("an output that is no tensor")
    return found


def _rule(node: fx.Node) -> Callable[[_Writer, fx.Node], None]:
    name = name_of(node)
    if name not in _RULES or node.meta["shape"] is None:
        raise NotWrittenError(name)
    return _RULES[name]


def _names(node: fx.Node) -> list[str]:
    return [source.name for source in sources(node)]


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)
