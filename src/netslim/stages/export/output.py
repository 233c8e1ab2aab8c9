"""Where an export goes."""

from pathlib import Path

from netslim.core.errors import UsageError
from netslim.deploy import TARGETS
from netslim.models import published

ENDING, ONNX = ".pth.tar", ".onnx"


def output_of(model: Path, target: str, output: Path | None) -> Path:
    """The file or folder to write: as given, or beside the checkpoint; of a published network, where one stands.

    Raises UsageError for an unknown target, and for what has no place beside it.
    """
    suffix = TARGETS.get(target).suffix
    if output:
        return output
    named = model if model.name else model.resolve()  # "." is the folder that one stands in
    if not named.name:
        raise UsageError(f"{model} holds no network; give a file as `netslim train` or `netslim prune` writes them")
    if published.holds(named):
        named = Path(named.name)
    stem = named.name.removesuffix(ENDING).removesuffix(ONNX)
    return named.with_name(f"{stem}{suffix}" if suffix else f"{stem}-{target}")
