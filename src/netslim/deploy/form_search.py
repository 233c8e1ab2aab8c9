"""Which form of a network is the fastest on this machine, among those that need no more memory than others."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from netslim.core.plugins.references import is_reference
from netslim.core.protocols import ArchSpec, plan_of
from netslim.cost import Latency
from netslim.cost.latency import measure_fastest
from netslim.cost.params import count_params
from netslim.deploy.fx_graph import UntraceableError, layer_of, name_of, sources
from netslim.deploy.inference import Form, shaped, simplified, two_of
from netslim.deploy.target import Target
from netslim.models import build
from netslim.models.own import arch_of

MULTIPLES = (1, 8, 16)
_VIEWS = ("flatten", "view", "reshape")
_FLOAT = 4  # bytes


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which form was fastest, and what each took (empty where there was nothing to choose).

    Attributes:
        form: the fastest.
        measured: the times of those that were tried; of those that were clearly slower, over few runs.
        is_remembered: whether this was measured in an earlier run.
        int8: whether layers were in 8-bit integers.
    """

    form: Form
    measured: Mapping[Form, Latency]
    is_remembered: bool = False
    int8: bool = False


@dataclass(frozen=True, kw_only=True)
class Search:
    """Which forms are tried.

    By default widths are: the other choices stay with what needs the least memory, and was the fastest nearly always
    where they were measured. Selections are zeros; torch works channels-last, with clamps; ONNX Runtime has BatchNorms.

    Attributes:
        selection, layout, clamp: others than these.
        multiple: the only one to try; None for all there are.
        batch: images per call, at most as many as the example has; None for all of them.
        seconds: measured time per form.
        most: bytes of activations for one image that wider forms than the first may need; None for any.
    """

    selection: str | None = None
    multiple: int | None = None
    layout: str | None = None
    clamp: bool | None = None
    batch: int | None = None
    seconds: float = 0.3
    most: int | None = None

    def forms(self, target: Target) -> list[Form]:
        """Those to try, the narrowest first."""
        return [
            Form(
                selection=self.selection or "zeros",
                multiple=multiple,
                layout=self.layout or target.layouts[-1],
                clamp=target.clamp if self.clamp is None else self.clamp,
            )
            for multiple in ([self.multiple] if self.multiple else MULTIPLES)
        ]


def choose(
    network: fx.GraphModule,
    example: Tensor,
    call_of: Callable[[fx.GraphModule], Callable[[], object]],
    forms: Sequence[Form],
    search: Search,
) -> Choice:
    """Times the forms of a simplified network on this machine, side by side, and takes the fastest.

    Lower quartiles decide: what else the machine does only ever adds time.

    Args:
        network: from `simplified`.
        example: an input (N, C, H, W).
        call_of: makes the call that is timed from a network.
        forms: those to try, the narrowest first; it is always allowed.
        search: for how long, and how much memory the others may need.
    """
    networks = _distinct(network, example, forms, math.inf if search.most is None else search.most)
    if len(networks) < 2:
        return Choice(form=forms[0], measured={})
    with torch.inference_mode():
        found = measure_fastest({str(form): call_of(net) for form, net in networks.items()}, seconds=search.seconds)
    measured = {form: found[str(form)] for form in networks}
    return Choice(form=min(measured, key=lambda form: measured[form].lower_quartile), measured=measured)


def _distinct(
    network: fx.GraphModule, example: Tensor, forms: Sequence[Form], most: float
) -> dict[Form, fx.GraphModule]:
    """The forms that differ (rounding changes nothing where widths are multiples), without those that need too much."""
    found: dict[int, tuple[Form, fx.GraphModule]] = {}
    for form in forms:
        candidate = shaped(network, example, form)
        if form is forms[0] or live_bytes(candidate) <= most:
            found.setdefault(count_params(candidate), (form, candidate))
    return dict(found.values())


def live_bytes(network: fx.GraphModule) -> int:
    """The most that a network's activations take at a time for one image, from its graph: no engine's own copies."""
    nodes = [node for node in network.graph.nodes if node.meta.get("shape")]
    place = {node: number for number, node in enumerate(nodes)}
    home: dict[fx.Node, fx.Node] = {}
    for node in nodes:
        first = next((source for source in sources(node) if source in home), None)
        home[node] = home[first] if first is not None and _writes_over(node) else node
    last: dict[fx.Node, int] = {}
    for node in nodes:
        last[home[node]] = max([last.get(home[node], 0), place[node], *(place[u] for u in node.users if u in place)])
    now = peak = 0
    for number, node in enumerate(nodes):
        now += _bytes(node) if home[node] is node else 0
        peak = max(peak, now)
        now -= sum(_bytes(kept) for kept, end in last.items() if end == number)
    return peak


def live_bytes_unpruned(model: nn.Module, images: Tensor, form: Form) -> int | None:
    """What `live_bytes` says of the network that a pruned one was; None for one that was not, or can't be built."""
    arch, plan = arch_of(model), plan_of(model)
    if arch is None or plan is None or is_reference(arch.name):
        return None
    return _live_bytes_of(arch.name, json.dumps(dict(arch.arguments), sort_keys=True), two_of(images).shape, form)


@functools.lru_cache
def _live_bytes_of(name: str, arguments: str, shape: torch.Size, form: Form) -> int | None:
    """Of the registered network of this name; a sweep asks it of one network many times."""
    with torch.random.fork_rng(devices=[]):
        network = build(ArchSpec(name=name, arguments=json.loads(arguments))).eval()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.affine:
            nn.init.ones_(module.weight)  # many start branches at zero, which would go as branches that give nothing
    try:
        return live_bytes(shaped(simplified(network, torch.zeros(shape)), torch.zeros(shape), form))
    except UntraceableError:
        return None


def _writes_over(node: fx.Node) -> bool:
    inplace = node.op == "call_module" and bool(getattr(layer_of(node), "inplace", False))
    return inplace or name_of(node) in _VIEWS or (node.op == "call_method" and str(node.target).endswith("_"))


def _bytes(node: fx.Node) -> int:
    return 0 if node.op == "placeholder" else _FLOAT * math.prod(node.meta["shape"][1:])
