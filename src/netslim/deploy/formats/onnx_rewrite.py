"""The ONNX file of a network that was read from one and pruned since: the same graph with smaller tensors.

Names, operators, operator set, free dimensions and metadata stay what they were. What changes are the tensors that went
into layers, biases that layers got, and the shapes that the file writes as numbers.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from netslim.core.errors import NetslimError
from netslim.deploy.formats.onnx_hash import metadata_of
from netslim.models.onnx_import.branches import names_taken
from netslim.models.onnx_import.source import OnnxSource
from netslim.models.onnx_import.tensors import with_content

Shape = tuple[int, ...]
_WITH_BIAS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedGemm")
_HALF = 10  # ONNX's number of float16
_FLOAT = 1


def rewritten(network: fx.GraphModule, source: OnnxSource, facts: Mapping[str, str]) -> Any:
    """An `onnx.ModelProto` that computes what the pruned network does.

    Args:
        network: `netslim.apply` of the network that was read.
        source: of that network.
        facts: for the metadata, beside those of the file.

    Raises:
        NetslimError: a shape in the file that no longer fits can't be written.
    """
    return _Rewriter(network, source).model(facts)


class _Rewriter:
    def __init__(self, network: fx.GraphModule, source: OnnxSource) -> None:
        from onnx import numpy_helper

        self._network, self._source, self._numpy = network, source, numpy_helper
        self._proto = copy.deepcopy(source.proto)
        self._graph = self._proto.graph
        self._tensors = {tensor.name: tensor for tensor in self._graph.initializer}
        self._makers = {name: node for node in self._graph.node for name in node.output}
        self._takers: dict[str, list[int]] = defaultdict(list)
        for index, node in enumerate(self._graph.node):
            for name, _ in names_taken(node):
                self._takers[name].append(index)
        self._made: dict[tuple[str, str], str] = {}

    def model(self, facts: Mapping[str, str]) -> Any:
        """The whole file."""
        from onnx import helper

        nodes = [*self._graph.node]
        old = {name: shape for name, (_, shape) in self._source.computed.items()}
        new = self._shapes()
        for node in nodes:
            self._resize(node, old, new)
        self._replace(nodes)
        self._add_biases(nodes)
        self._clean()
        helper.set_model_props(self._proto, {**metadata_of(self._proto), **facts})
        return self._proto

    def _shapes(self) -> dict[str, Shape]:
        """Of the file's values, as the pruned network has them."""
        run, example = _Shapes(self._network), self._source.example()
        with torch.no_grad():
            run.run(*(example if isinstance(example, tuple) else (example,)))
        return {name: run.shapes[node] for name, (node, _) in self._source.computed.items() if node in run.shapes}

    def _resize(self, node: Any, old: Mapping[str, Shape], new: Mapping[str, Shape]) -> None:
        """Brings sizes that a node has as numbers to what they are now."""
        outputs = [name for name in node.output if name in old and name in new]
        if all(old[name] == new[name] for name in outputs):
            return
        if node.op_type in ("Reshape", "Expand", "ConstantOfShape", "Resize"):
            place = {"ConstantOfShape": 0, "Resize": 3}.get(node.op_type, 1)
            if len(node.input) > place and node.input[place]:
                self._resize_vector(node, place, old[outputs[0]], new[outputs[0]])
        elif node.op_type == "Split":
            axis = next((each.i for each in node.attribute if each.name == "axis"), 0)
            self._resize_split(node, [new[name][axis] for name in outputs])

    def _resize_vector(self, node: Any, place: int, old: Shape, new: Shape) -> None:
        """A shape as one constant, or joined of several pieces."""
        name = node.input[place]
        known = self._known(name)
        if known is not None:
            node.input[place] = self._new(name, _said(known, old, new), node.name or node.output[0])
            return
        maker = self._makers.get(name)
        if maker is None or maker.op_type not in ("Concat", "Cast", "Identity"):
            return
        maker = self._own_copy(node, place, maker)
        if maker.op_type != "Concat":
            self._resize_vector(maker, 0, old, new)
            return
        parts = [self._known(part) for part in maker.input]
        open_ones = sum(part is None for part in parts)
        each = (len(old) - sum(part.size for part in parts if part is not None)) // max(1, open_ones)
        at = 0
        for piece, part in enumerate(parts):
            count = each if part is None else part.size
            if part is not None:
                said = _said(part, old[at : at + count], new[at : at + count])
                maker.input[piece] = self._new(maker.input[piece], said, node.name)
            at += count

    def _own_copy(self, node: Any, place: int, maker: Any) -> Any:
        """The node that makes an input, for this input alone."""
        if len(self._takers[maker.output[0]]) == 1:
            return maker
        own = copy.deepcopy(maker)
        own.output[0] = node.input[place] = f"{maker.output[0]}.{node.name or node.output[0]}"
        own.name = own.output[0]
        self._graph.node.insert([*self._graph.node].index(node), own)
        return self._graph.node[[*self._graph.node].index(node) - 1]

    def _resize_split(self, node: Any, sizes: Sequence[int]) -> None:
        for attribute in node.attribute:
            if attribute.name == "split":
                attribute.ints[:] = sizes
        if len(node.input) > 1 and node.input[1]:
            node.input[1] = self._new(node.input[1], np.array(sizes, dtype=np.int64), node.name)

    def _known(self, name: str) -> np.ndarray[Any, Any] | None:
        """Whole numbers of the file."""
        found = self._source.sizes.get(name)
        return None if found is None else found.numpy()

    def _replace(self, nodes: Sequence[Any]) -> None:
        """Puts the network's tensors in the place of the file's."""
        paths = defaultdict(set)
        for each in self._source.placed:
            paths[each.name].add(each.paths)
        placed = defaultdict(set)
        for each in self._source.placed:
            placed[each.name].add(each.node)
        for each in self._source.placed:
            values = [_tensor(self._network, path) for path in each.paths]
            value = values[0] if each.back is None else each.back(*values)
            self._set_groups(nodes[each.node], each.paths[0])
            if each.computed is not None and torch.equal(each.computed, value):
                continue  # what the file computes in a few nodes may be large as a tensor
            alone = len(paths[each.name]) == 1 and placed[each.name] == set(self._takers[each.name])
            name = self._put(each.name, each.paths[0], value, keep_name=alone and each.name in self._tensors)
            inputs = nodes[each.node].input
            inputs[:] = [name if own == each.name else own for own in inputs]

    def _set_groups(self, node: Any, path: str) -> None:
        """A depthwise convolution has as many groups as channels."""
        layer = self._network.get_submodule(path.rpartition(".")[0])
        groups = getattr(layer, "groups", None)
        for attribute in node.attribute:
            if attribute.name == "group" and isinstance(groups, int):
                attribute.i = groups

    def _put(self, name: str, path: str, value: Tensor, *, keep_name: bool) -> str:
        """The name of an initializer with these numbers, in the type that the file has."""
        if (name, path) not in self._made:
            kind = self._kind(name)
            array = value.detach().cpu().contiguous().float().numpy()
            array = array.astype(np.float16) if kind == _HALF else array if kind == _FLOAT else value.numpy()
            same = None if keep_name else self._same(name, array)
            if same is not None:
                self._made[name, path] = same
                return same
            self._made[name, path] = name if keep_name else self._free(f"{name}.{path}")
            made = self._numpy.from_array(np.ascontiguousarray(array), self._made[name, path])
            if keep_name:
                self._tensors[name].CopyFrom(made)
            else:
                self._graph.initializer.append(made)
                self._tensors[made.name] = self._graph.initializer[-1]
        return self._made[name, path]

    def _same(self, name: str, array: np.ndarray[Any, Any]) -> str | None:
        """The file's tensor, or one that was made of it, where it has these numbers."""
        for other in (name, *(made for (own, _), made in self._made.items() if own == name)):
            if other in self._tensors:
                held = self._numpy.to_array(with_content(self._tensors[other], self._source.path.parent))
                if held.dtype == array.dtype and np.array_equal(held, array):
                    return other
        return None

    def _kind(self, name: str) -> int:
        """ONNX's number of a tensor's type; of one that is computed, that of the file's inputs."""
        if name in self._tensors:
            return int(self._tensors[name].data_type)
        maker = self._makers.get(name)
        if maker is not None and maker.op_type == "Constant" and maker.attribute[0].name == "value":
            return int(maker.attribute[0].t.data_type)
        return _HALF if any(port.dtype == torch.float16 for port in self._source.inputs) else _FLOAT

    def _add_biases(self, nodes: Sequence[Any]) -> None:
        """Biases that layers without one have got, by absorption or reconstruction."""
        placed = {(each.node, path) for each in self._source.placed for path in each.paths}
        for each in self._source.placed:
            layer, _, own = each.paths[0].rpartition(".")
            node = nodes[each.node]
            if own != "weight" or node.op_type not in _WITH_BIAS or (each.node, f"{layer}.bias") in placed:
                continue
            bias = getattr(self._network.get_submodule(layer), "bias", None)
            if isinstance(bias, Tensor):
                self._add_bias(node, each.name, layer, bias)

    def _add_bias(self, node: Any, weight: str, layer: str, bias: Tensor) -> None:
        from onnx import helper

        self._made.setdefault((weight, f"{layer}.bias"), "")
        if not self._made[weight, f"{layer}.bias"]:
            kind = np.float16 if self._kind(node.input[1]) == _HALF else np.float32
            self._made[weight, f"{layer}.bias"] = self._new(f"{layer}.bias", bias.detach().numpy().astype(kind), "")
        name = self._made[weight, f"{layer}.bias"]
        if node.op_type != "MatMul":
            node.input[:] = [*node.input[:2], name, *node.input[3:]]
            return
        given, node.output[0] = node.output[0], self._free(f"{node.output[0]}.product")
        added = helper.make_node("Add", [node.output[0], name], [given], name=f"{node.name or given}.bias")
        self._graph.node.insert([*self._graph.node].index(node) + 1, added)

    def _new(self, name: str, value: np.ndarray[Any, Any], owner: str) -> str:
        """A further initializer."""
        free = self._free(f"{name}.{owner}" if owner else name)
        self._graph.initializer.append(self._numpy.from_array(np.ascontiguousarray(value), free))
        self._tensors[free] = self._graph.initializer[-1]
        return free

    def _free(self, wanted: str) -> str:
        number, name = 1, wanted
        while name in self._tensors or name in self._makers or name in self._made.values():
            name, number = f"{wanted}_{number}", number + 1
        return name

    def _clean(self) -> None:
        """Drops what nothing takes any more, and noted shapes; tensors in other files come into this one."""
        graph = self._graph
        outputs = {output.name for output in graph.output}
        while True:
            taken = {name for node in graph.node for name, _ in names_taken(node)} | outputs
            dead = [node for node in graph.node if not taken.intersection(node.output)]
            for node in dead:
                graph.node.remove(node)
            if not dead:
                break
        names = {tensor.name for tensor in graph.initializer}
        kept = [with_content(tensor, self._source.path.parent) for tensor in graph.initializer if tensor.name in taken]
        inputs = [port for port in graph.input if port.name not in names]
        del graph.initializer[:], graph.input[:], graph.value_info[:]
        graph.initializer.extend(kept)
        graph.input.extend(inputs)
        self._proto.ir_version = max(4, self._proto.ir_version)  # before, initializers had to be inputs as well


class _Shapes(fx.Interpreter):
    """Notes the shape of what every node gives."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network)
        self.shapes: dict[str, Shape] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.shapes[n.name] = tuple(result.shape)
        return result


def _said(known: np.ndarray[Any, Any], old: Shape, new: Shape) -> np.ndarray[Any, Any]:
    """Sizes of the file with those changed that were written as they were: neither 0 nor -1."""
    if known.size != len(old) or len(old) != len(new):
        raise NetslimError(f"a shape of {known.size} numbers does not fit a tensor of {len(old)} dimensions any more")
    pairs = zip(known.flatten().tolist(), old, new, strict=True)
    changed = [now if said == was and was != now else said for said, was, now in pairs]
    return np.array(changed, dtype=known.dtype).reshape(known.shape)


def _tensor(network: nn.Module, path: str) -> Tensor:
    holder, _, name = path.rpartition(".")
    found: Tensor = getattr(network.get_submodule(holder), name)
    return found.detach()
