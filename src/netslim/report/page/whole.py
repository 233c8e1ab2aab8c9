"""The whole of which a page's runs are the steps: a `netslim slim`, as the record in its folder says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netslim.core.schemas import FileModel, as_model, read_json

RECORD = "slim.json"
ABOVE = 3  # folders from a variant up to the record at most


class Table(FileModel):
    """Columns, and rows of cells as they are shown."""

    columns: list[str]
    rows: list[list[str]]


class Outcome(FileModel):
    """What all of it came to: means over the seeds, and each variant; the commands that do the steps of each."""

    means: Table | None = None
    each: Table | None = None
    commands: list[list[str]] = []  # noqa: RUF012  (pydantic copies it)


class WholeFile(FileModel):
    """`slim.json`, as far as a page needs it."""

    status: str = "running"
    settings: dict[str, Any] | None = None
    folders: list[str] = []  # noqa: RUF012  (pydantic copies it)
    result: Outcome | None = None


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A `netslim slim`.

    Attributes:
        folder: where it lies.
        variant: the part of it that a page is about, as a folder's name; empty for all of it.
        file: what it recorded.
    """

    folder: Path
    variant: str
    file: WholeFile

    @property
    def name(self) -> str:
        """What the page is called."""
        name = self.folder.resolve().name or str(self.folder)
        return f"{name}: {self.variant}" if self.variant else name

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return self.file.status == "finished"

    @property
    def shown(self) -> str:
        """The variant that stands for all on a page about several; else empty."""
        return self.file.folders[0] if not self.variant and len(self.file.folders) > 1 else ""

    @property
    def commands(self) -> list[str]:
        """What does the steps of the variant on the page one by one; none before all of it is finished."""
        found = self.file.result.commands if self.file.result else []
        variant = self.variant or self.shown
        at = self.file.folders.index(variant) if variant in self.file.folders else 0
        return found[at] if at < len(found) else []


def whole_of(folder: Path) -> Whole | None:
    """The `netslim slim` whose folder, or the folder of whose variant, this is; None if it is none's."""
    own = folder.resolve()
    for root in (own, *own.parents[:ABOVE]):
        try:
            file = as_model(WholeFile, read_json(root / RECORD))
        except (OSError, ValueError):
            continue
        variant = "" if root == own else own.relative_to(root).as_posix()
        return Whole(folder=root, variant=variant, file=file) if not variant or variant in file.folders else None
    return None
