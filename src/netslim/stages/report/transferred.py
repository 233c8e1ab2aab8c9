"""Where the network of a report's first run came from, as the file of a transfer says."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import CheckpointError, UsageError
from netslim.core.schemas import Count, FileModel, Finite, as_model
from netslim.report.page.commands import spelled_command
from netslim.report.page.findings import Transferred
from netslim.report.page.run_folder import Run
from netslim.stages.report.files import origin_file
from netslim.stages.stage import STAGES

Layer = Annotated[list[Any], Field(min_length=3, max_length=3)]


class TransferFacts(FileModel):
    """What a transfer notes in its file, as far as a page shows it."""

    config: dict[str, Any]
    strategy: str
    coverage: Finite
    layers: list[Layer] = []  # noqa: RUF012  (pydantic copies it)
    calibration_images: Count = 0


def transferred(first: Run) -> Transferred | None:
    """What the transfer did that a run went on from; None if it went on from none, or the file is gone."""
    file = origin_file(first)
    if file is None:
        return None
    try:
        noted = read_checkpoint(file).provenance
        facts = as_model(TransferFacts, noted) if noted.get("stage") == "transfer" else None
    except (CheckpointError, ValueError):
        return None
    if facts is None:
        return None
    return Transferred(
        source=f"{facts.config.get('source')} {facts.config.get('model_name')}",
        strategy=facts.strategy,
        coverage=facts.coverage,
        layers=tuple((str(layers), str(done), int(count)) for layers, done, count in facts.layers),
        images=facts.calibration_images,
        command=_command(facts.config),
    )


def _command(config: dict[str, Any]) -> str:
    """What does the transfer again; empty where its settings are none of this version's."""
    try:
        settings = STAGES["transfer"].settings().build(config).changed()
    except UsageError:
        return ""
    return spelled_command("transfer", settings)
