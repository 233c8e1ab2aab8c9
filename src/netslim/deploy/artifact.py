"""From a trained network to a file of some target that has been shown to compute the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from netslim.core.disk import DISK
from netslim.core.errors import UsageError, unknown_name
from netslim.core.files import (
    aside_name,
    check_writable,
    followed,
    remove_leftovers,
    temporary_name,
    write_errors,
)
from netslim.core.safetensors_folder import CONFIG
from netslim.cost import measure
from netslim.cost.params import count_params
from netslim.deploy.fx_graph import UntraceableError
from netslim.deploy.inference import LAYOUTS, Choice, Search, choose, shaped, simplified
from netslim.deploy.parity import check_parity
from netslim.deploy.target import TARGETS, Bundle, Target


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        path: the file or folder.
        difference: largest difference of an output from the trained network's, relative to the largest output.
        choice: the form and what the others took, or None where the trained network itself was written.
        params: parameters in the file, padding included.
        note: why there is no form, or None.
    """

    path: Path
    difference: float
    choice: Choice | None
    params: int
    note: str | None = None


def export(
    model: nn.Module,
    example: Tensor,
    path: Path,
    target: str,
    *,
    facts: Mapping[str, Any],
    reopen: Callable[[Path], nn.Module],
    search: Search | None = None,
) -> Exported:
    """Writes a network for inference; it is put in place after its outputs were compared at batch 1, 2 and 7.

    Args:
        model: the trained network; left unchanged.
        example: images (N, C, H, W), N >= 2.
        path: where the file or folder goes.
        target: a registered name.
        facts: what the file says of itself, besides its cost and form.
        reopen: builds a network from a folder of target safetensors.
        search: which forms are tried, and how; default: all.

    Raises:
        UsageError: unknown target or form, a missing package, a path of another kind.
        ParityError: the exported network computes something else.
        NetslimError: the path can't be written to.
    """
    kind = TARGETS.get(target)
    kind.check(target)
    check_path(path, target)
    model.eval()
    note, choice, network = None, None, model
    if kind.for_inference:
        try:
            choice, network = _inference(model, example, kind, search or Search())
        except UntraceableError as error:
            note = f"{error}; exported as it is"
    cost = measure(model, example[:1])
    complete = {
        "netslim": 1,
        "target": target,
        **facts,
        "input_shape": list(example.shape[1:]),
        "params": cost.params,
        "macs": cost.macs,
        "form": choice.form.to_dict() if choice else None,
    }
    bundle = Bundle(model=model, network=network, example=example, facts=complete, reopen=reopen)
    with _put_in_place(path) as temporary:
        kind.write(bundle, temporary)
        difference = check_parity(model, kind.open(bundle, temporary), example, target)
    return Exported(path=path, difference=difference, choice=choice, params=count_params(network), note=note)


def check_path(path: Path, target: str) -> None:
    """Raises UsageError if `path` is of another kind than the target's, NetslimError if it can't be written to."""
    suffix = TARGETS.get(target).suffix
    if suffix:
        if path.suffix != suffix:
            raise UsageError(f"--output {path}: target {target} writes a {suffix} file; type {path}{suffix}")
        check_writable(path)
        return
    if path.suffix or path.is_file():
        raise UsageError(f"--output {path}: target {target} writes a folder; type {path.with_suffix('')}-{target}")
    if path.is_dir() and any(path.iterdir()) and not (path / CONFIG).is_file():
        raise UsageError(f"--output {path}: the folder is in use and is no earlier export; type another name")
    check_writable(path / CONFIG if path.is_dir() else path)


def _inference(model: nn.Module, example: Tensor, kind: Target, search: Search) -> tuple[Choice, nn.Module]:
    if search.layout not in (None, *LAYOUTS):
        raise unknown_name("layout", str(search.layout), LAYOUTS)
    if search.layout not in (None, *kind.layouts):
        raise UsageError(f"--layout {search.layout}: this target has {', '.join(kind.layouts)} only; leave it out")
    network = simplified(model, example)
    layouts = (search.layout,) if search.layout else kind.layouts
    images = example[: search.batch]
    choice = choose(network, example, lambda candidate: kind.caller(candidate, images), layouts, search)
    return choice, shaped(network, example, choice.form)


@contextmanager
def _put_in_place(path: Path) -> Iterator[Path]:
    """A temporary name; what was written there replaces `path` at the end, and is removed after an error.

    A folder can't be replaced in one step: the old one is set aside first, and `recover` gives it its name back should
    the process be killed before the new one has it.
    """
    with write_errors(path):
        path = followed(path)
    temporary, aside = temporary_name(path), aside_name(path)
    try:
        yield temporary
        with write_errors(path):
            if path.is_dir():
                DISK.rename(path, aside)
            DISK.rename(temporary, path)
    finally:
        if not path.exists() and aside.exists():
            aside.rename(path)
        for left in (temporary, aside):
            with suppress(OSError):
                DISK.remove(left)
    remove_leftovers(path)
