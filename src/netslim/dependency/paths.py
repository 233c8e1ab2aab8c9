"""The paths on which a network runs whose values decide what it does: each is a run with values, followed on shapes.

One path is what it does on the inputs given. Of every truth value that Python asks for, the other answer is another;
and that masks choose nothing, one thing where they chose nothing, or everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from netslim.core.errors import UsageError, first_line
from netslim.core.networks.copies import copied
from netslim.core.networks.decisions import Decisions
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.replay import FOUND, Supposition, recording
from netslim.core.networks.torch_internals import tree_leaves
from netslim.core.runs.seeding import drawing_alike
from netslim.dependency.trace import Question, Run, Trace

_MOST = 24  # paths of one mode
Follow = Callable[[Run], list[Question]]  # what Python asked on the way


def with_values(inputs: Inputs, specs: Inputs) -> Inputs:
    """The inputs where their tensors have values and fit, or else random ones of the same shapes."""
    given, generator = iter(inputs.tensors), torch.Generator().manual_seed(0)

    def valued(spec: TensorSpec) -> torch.Tensor:
        own = next(given)
        if isinstance(own, torch.Tensor) and not own.is_meta and own.shape == spec.shape:
            return own.to(spec.dtype)
        return spec.random(generator)

    return specs.map(valued)


def with_few_values(specs: Inputs, inputs: Inputs) -> Inputs:
    """The specs with the values of the inputs' small tensors: boxes and labels are no noise."""
    given = iter(inputs.tensors)

    def known(spec: TensorSpec) -> TensorSpec:
        own = next(given)
        return spec if isinstance(own, TensorSpec) else spec.with_values(own)

    return specs.map(known)


def decisions_on(model: nn.Module, inputs: Inputs, *, training: bool, supposed: Supposition | None = None) -> Decisions:
    """What the network decides on inputs with values. Whatever it raises is raised."""
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    network = copied(model).train(training)
    placed = inputs.map(lambda tensor: tensor.to(device, copy=True))
    devices = [device] if device.type == "cuda" else []
    with drawing_alike(devices), torch.no_grad(), recording(placed.tensors, supposed) as decisions:
        placed.call(network)
    decisions.device = device
    return decisions


def evaluation_alone(model: nn.Module, inputs: Inputs) -> tuple[str, ...]:
    """What the user should know of a network that does not train on such inputs, as without targets; else nothing."""
    if any(parameter.is_meta for parameter in model.parameters()):
        return ()
    try:
        decisions_on(model, inputs, training=True)
    except Exception as refusal:  # a network may raise anything
        reason = ": ".join(dict.fromkeys((type(refusal).__name__, first_line(refusal))))
        return (
            f"only what {type(model).__name__} does in evaluation was followed, since it does not train on such an "
            f"example ({reason})",
        )
    return ()


def follow_paths(
    model: nn.Module, inputs: Inputs, run: Run, follow: Follow, lacks: Callable[[], bool] = lambda: False
) -> Iterator[Run]:
    """Follows every path that is found, and gives it.

    A line that asks several times, as a loop over experts does, is answered otherwise once; each time by itself while
    the paths so far are not enough (`lacks`).

    Raises:
        UsageError: there are too many.
    """
    first = decisions_on(model, inputs, training=run.training)
    known = set[tuple[str, bool]]()
    ahead = [(first, Supposition())]
    if any(own.name != "nms" and not isinstance(own.answer, bool | int | float) for own in first.steering):
        suppositions = [Supposition(found=found) for found in FOUND]
        ahead += _otherwise(model, inputs, run.training, suppositions)
    different = dict[tuple[object, ...], tuple[Decisions, Supposition]]()
    for decisions, supposed in ahead:
        different.setdefault(_counts(decisions), (decisions, supposed))
    ahead = [*different.values()]
    followed, later = 0, list[Supposition]()
    while ahead or (later and lacks() and followed < _MOST):
        if not ahead:
            ahead += _otherwise(model, inputs, run.training, [later.pop(0)])
            continue
        followed += 1
        if followed > _MOST:
            raise UsageError(f"{type(model).__name__} decides by values on more than {_MOST} paths: too many to follow")
        decisions, supposed = ahead.pop(0)
        path = replace(run, decisions=decisions)
        questions = follow(path)
        yield path
        new = [question for question in questions if (question.where, question.answer) not in known]
        known |= {(question.where, question.answer) for question in new}
        flips = {(q.where, not q.answer): q.number for q in new if (q.where, not q.answer) not in known}
        turned = {n: replace(supposed, answers={**supposed.answers, n: a}) for (_, a), n in flips.items()}
        ahead += _otherwise(model, inputs, run.training, turned.values())
        if not supposed.answers:
            rest = [q for q in questions if q.number not in turned]
            later += [replace(supposed, answers={q.number: not q.answer}) for q in rest]


def _counts(decisions: Decisions) -> tuple[object, ...]:
    """How much each decision chose, and what Python read: where these are the same, so is the path."""
    return tuple(
        (own.name, *(leaf.shape if isinstance(leaf, torch.Tensor) else leaf for leaf in tree_leaves(own.answer)))
        for own in decisions.steering
    )


def _otherwise(
    model: nn.Module, inputs: Inputs, training: bool, suppositions: Iterable[Supposition]
) -> list[tuple[Decisions, Supposition]]:
    """What the network decides under each; a path that it does not survive is none."""
    found = []
    for supposed in suppositions:
        try:
            found.append((decisions_on(model, inputs, training=training, supposed=supposed), supposed))
        except Exception:  # noqa: S112  (checks of the network's own may raise anything)
            continue
    return found


def follow_siblings(model: nn.Module, trace: Trace) -> None:
    """Normalisations that took part in no run follow those beside them in a ModuleList or ModuleDict that did.

    One of them is chosen for a domain, a task or a width, so that all of them have the same channels.
    """
    for path, box in model.named_modules():
        norms = {f"{path}.{name}".lstrip("."): own for name, own in box.named_children() if isinstance(own, _NormBase)}
        if not isinstance(box, nn.ModuleList | nn.ModuleDict) or len(norms) < len(box):
            continue
        used = [name for name in norms if f"{name}.weight" in trace.scales]
        lines = [trace.dims[f"{name}.weight", 0] for name in used]
        alike = len({(type(own), own.num_features) for own in norms.values()}) == 1
        if not lines or not alike or any(not torch.equal(*map(trace.sets.roots, (lines[0], own))) for own in lines):
            continue
        for name in norms:
            if name not in used:
                _follow_norm(trace, name, norms[name], lines[0])


def _follow_norm(trace: Trace, name: str, norm: nn.Module, labels: torch.Tensor) -> None:
    """Ties the vectors of a normalisation to channels."""
    for own, tensor in [*norm.named_parameters(), *norm.named_buffers()]:
        trace.used.add(f"{name}.{own}")
        if tensor.shape == labels.shape:
            trace.dims[f"{name}.{own}", 0] = labels
        if own in ("weight", "bias"):
            trace.silenced.add((f"{name}.{own}", 0))
    trace.scales.append(f"{name}.weight")


def check_all_took_part(model: nn.Module, trace: Trace) -> None:
    """Raises UsageError if a layer took part on no path: on another it could read what was taken for free to go."""
    idle = [name for name, _ in model.named_parameters() if name not in trace.used]
    if idle:
        raise UsageError(
            f"{type(model).__name__} decides by values what it does, and on no path that was found `{idle[0]}` takes "
            f"part ({len(idle)} parameters in all): give an example on which it does"
        )


def keep_unread(model: nn.Module, trace: Trace) -> None:
    """Channels that no weight reads stay: on a path that was not found one may."""
    matrices = {name for name, parameter in model.named_parameters() if parameter.dim() > 1}
    reading = [trace.dims[place] for place in trace.dims if place not in trace.silenced and place[0] in matrices]
    read = trace.sets.roots(torch.cat([torch.empty(0, dtype=torch.int64), *reading]))
    for place in trace.silenced & trace.dims.keys():
        labels = trace.dims[place]
        unread = ~torch.isin(trace.sets.roots(labels), read)
        trace.sets.freeze(labels[unread], "is read on no path that was found")
