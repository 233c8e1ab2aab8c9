"""Target `eager`: plain PyTorch code and its weights, which need neither netslim nor any compiler."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from netslim.core.errors import NetslimError
from netslim.core.safetensors_folder import CONFIG, check_hashes, read_facts, write_folder
from netslim.deploy.target import TARGETS, Bundle, Run, Runnable, Target, input_of, start_with_torch, without_gradients
from netslim.deploy.tracing.held_sizes import checking_sizes

CODE = "network.py"
_IMPORTS = {  # of names that torch.fx writes values with
    "inf": "from math import inf",
    "nan": "from math import nan",
    "device": "from torch import device",
}

_HEAD = '''"""A network made by netslim for inference. Needs torch and safetensors.

    from network import load
    {call}
"""

{imports}from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
{layers}

{forward}

def load(folder=Path(__file__).parent):
    """The network with its weights, in eval mode on the CPU."""
    network = Network(){numbers}.eval().requires_grad_(False)
    network.load_state_dict(load_file(Path(folder) / "model.safetensors"))
    return network{layout}
'''


class EagerTarget(Target):
    """A folder: `network.py`, `model.safetensors` and `config.json`."""

    def write(self, bundle: Bundle, path: Path) -> None:
        """Writes the code and the weights."""
        if not isinstance(bundle.network, fx.GraphModule):
            why = bundle.why or "this network has no fixed graph"
            raise NetslimError(f"target eager writes the code of a graph: {why}; type `target='pt2'`")
        write_folder(
            path, bundle.network.state_dict(), bundle.facts, {CODE: _code(checking_sizes(bundle.network), bundle)}
        )

    def open(self, bundle: Bundle, path: Path) -> Run:  # noqa: ARG002
        """Imports the code that was written."""
        return without_gradients(load_code(path))

    def recognises(self, path: Path, facts: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether the facts of a folder say so."""
        return facts.get("target") == "eager"

    def runnable(self, path: Path, facts: Mapping[str, Any]) -> Runnable:
        """Imports the code in the folder."""
        return Runnable(start=start_with_torch(load_code(path)), **input_of(facts))


def load_code(folder: Path) -> nn.Module:
    """The network of a folder of target eager: runs the code in it. Raises CheckpointError if a hash is wrong."""
    check_hashes(folder, read_facts(folder / CONFIG))
    names: dict[str, Any] = {"__name__": "network", "__file__": str(folder / CODE)}
    exec(compile((folder / CODE).read_text(), folder / CODE, "exec"), names)  # noqa: S102 - an import leaves __pycache__
    network: nn.Module = names["load"]()
    return network


def _code(network: fx.GraphModule, bundle: Bundle) -> str:
    layers = [f"        self.{name} = nn.{_call(layer)}" for name, layer in network.named_children()]
    layers += [
        f'        self.register_buffer("{name}", torch.zeros({tuple(value.shape)}, dtype={value.dtype}))'
        for name, value in network.named_buffers(recurse=False)
    ]
    foreign = [name for name, layer in network.named_children() if not hasattr(nn, type(layer).__name__)]
    source = network.graph.python_code("self")
    used = {node.id for node in ast.walk(ast.parse(source.src)) if isinstance(node, ast.Name)} & {*source.globals}
    foreign += sorted(used - {"torch", *_IMPORTS, *vars(builtins)})
    if foreign:
        raise NetslimError(
            f"target eager writes torch's own layers and functions only, and {', '.join(foreign[:3])} is none; "
            f"type `target='pt2'`"
        )
    forward = "\n".join(f"    {line}".rstrip() for line in source.src.strip().splitlines())
    last = bundle.facts["form"]["layout"] == "nhwc"
    layout = ".to(memory_format=torch.channels_last)" if last else ""
    inputs = {str(node.target): node.meta["shape"] for node in network.graph.nodes if node.op == "placeholder"}
    shapes = ", ".join(f"{name}: {_shape(sides)}" for name, sides in inputs.items())
    call = f"outputs = load()({', '.join(inputs)})  # {shapes}"
    if len(inputs) == 1:
        call = f"logits = load()(images)  # images: {_shape(*inputs.values())}"
    kinds = {own.dtype for own in network.parameters()} - {torch.float32}
    numbers = "".join(f".to({kind})" for kind in kinds if len(kinds) == 1)
    imports = "".join(f"{line}\n" for name, line in _IMPORTS.items() if name in used)
    return _HEAD.format(
        imports=imports, call=call, layers="\n".join(layers), forward=forward, layout=layout, numbers=numbers
    )


def _shape(sides: Sequence[int] | None) -> str:
    """For people: the first is the batch."""
    return f"({', '.join(['N', *map(str, (sides or ())[1:])])})"


def _call(layer: nn.Module) -> str:
    """The layer as code. BatchNorm's `bias` is an argument of recent versions of torch only."""
    text = repr(layer)
    return text.replace(", bias=True", "") if isinstance(layer, nn.BatchNorm2d) else text


TARGETS.register("eager")(
    EagerTarget(
        summary="PyTorch code",
        engines=("eager", "compiled"),
        layouts=("nchw", "nhwc"),
        holds_code=True,
        takes_several=True,
    )
)
