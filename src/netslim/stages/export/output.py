"""Where an export goes."""

from pathlib import Path

from netslim.deploy import TARGETS

ENDING = ".pth.tar"


def output_of(model: Path, target: str, output: Path | None) -> Path:
    """The file or folder to write: as given, or beside the checkpoint. Raises UsageError for an unknown target."""
    suffix, stem = TARGETS.get(target).suffix, model.name.removesuffix(ENDING)
    return output or model.with_name(f"{stem}{suffix}" if suffix else f"{stem}-{target}")
