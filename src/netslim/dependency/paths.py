"""The paths on which a network runs whose values decide what it does: each is a run with values, followed on shapes.

One path is what it does on the inputs given. Of every truth value that Python asks for, the other answer is another;
and where masks choose something, that they choose nothing, or where they choose nothing, that they choose one thing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from torch import nn

from netslim.core.errors import UsageError
from netslim.core.networks.decisions import Decisions
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.replay import Supposition, recording
from netslim.dependency.trace import Run, Trace
from netslim.dependency.tracer import Question

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
    network = copy.deepcopy(model).train(training)
    placed = inputs.map(lambda tensor: tensor.to(device, copy=True))
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad(), recording(placed.tensors, supposed) as decisions:
        torch.manual_seed(0)
        placed.call(network)
    decisions.device = device
    return decisions


def follow_paths(model: nn.Module, inputs: Inputs, run: Run, follow: Follow) -> Iterator[Run]:
    """Follows every path that is found, and gives it.

    Raises:
        UsageError: there are too many.
    """
    first = decisions_on(model, inputs, training=run.training)
    known = set[tuple[str, bool]]()
    ahead = [(first, Supposition())]
    ahead += [(other, s) for other, s in _otherwise(model, inputs, run.training, _masks(first))]
    for _ in range(_MOST):
        if not ahead:
            return
        decisions, supposed = ahead.pop(0)
        path = replace(run, decisions=decisions)
        questions = follow(path)
        yield path
        new = [question for question in questions if (question.where, question.answer) not in known]
        known |= {(question.where, question.answer) for question in new}
        flips = {(q.where, not q.answer): q.number for q in new if (q.where, not q.answer) not in known}
        turned = [replace(supposed, answers={**supposed.answers, n: a}) for (_, a), n in flips.items()]
        ahead += _otherwise(model, inputs, run.training, turned)
    raise UsageError(
        f"{type(model).__name__} decides by values on more than {_MOST} paths, which is too many to follow"
    )


def _masks(decisions: Decisions) -> list[Supposition]:
    """That masks choose nothing, if some chose anything, and that they choose something, if some chose nothing."""
    chosen = [own.answer for own in decisions.steering if own.name != "nms" and not isinstance(own.answer, bool)]
    counts = [len(part[0] if isinstance(part, list | tuple) else part) for part in chosen if _counts(part)]
    return [Supposition(found=found) for found in (True, False) if any((count == 0) == found for count in counts)]


def _counts(answer: object) -> bool:
    if isinstance(answer, torch.Tensor):
        return answer.dim() > 0
    return isinstance(answer, list | tuple) and len(answer) > 0


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


def check_all_took_part(model: nn.Module, trace: Trace) -> None:
    """Raises UsageError if a layer took part on no path: on another it could read what was taken for free to go."""
    idle = [name for name, _ in model.named_parameters() if name not in trace.used]
    if idle:
        raise UsageError(
            f"{type(model).__name__} decides by values what it does, and on no path that was found `{idle[0]}` takes "
            f"part ({len(idle)} parameters in all): give an example on which it does"
        )
