"""The folder of a whole run: one process works in it, and `slim.json` says what was asked for and planned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import Field

from netslim.core.errors import NetslimError, UsageError
from netslim.core.files import atomic_write, make_folder, write_errors, write_json
from netslim.core.runs.file_names import RECORD as OF_RUN
from netslim.core.runs.file_names import SMALL
from netslim.core.schemas import FileModel, as_model, read_json
from netslim.stages.slim.recipe import FILE

RECORD, RECIPE, NETWORK, TABLE = "slim.json", FILE, SMALL, "slim.csv"


class SlimRecord(FileModel):
    """`slim.json`."""

    version: int = 1
    status: str = "running"
    asked: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    folders: list[str] = Field(default_factory=list)
    recipe: dict[str, Any] = Field(default_factory=dict)
    pace: dict[str, Any] | None = None
    probe: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    pages: str = ""


class SlimFolder:
    """A folder for one run at a time.

    Args:
        path: the folder; made, and locked, unless it is only looked at.
        look: whether nothing is to be written.

    Raises:
        UsageError: another process works in it, or it holds a network that no recipe left.
        NetslimError: it can't be written to, or its record is damaged.
    """

    def __init__(self, path: Path, *, look: bool = False) -> None:
        self.path = path
        self._lock: FileLock | None = None
        if not look:
            with write_errors(path):
                make_folder(path)
            self._lock = FileLock(path / ".lock", timeout=0)
            try:
                self._lock.acquire()
            except Timeout:
                raise UsageError(f"{path} is in use by another process; wait for it or give another `save`") from None
            except OSError as error:
                raise NetslimError(f"cannot write {path}: {error.strerror or error}; nothing was changed") from error
        try:
            self.record = self._read()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "SlimFolder":
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is None:
            return
        self._lock.release()
        if {path.name for path in self.path.iterdir()} <= {".lock"}:  # it ended before it began
            (self.path / ".lock").unlink(missing_ok=True)
            self.path.rmdir()

    def begin(self, asked: Mapping[str, Any], facts: Mapping[str, Any], toml: str, given: Path | None) -> None:
        """Records what was asked for and planned, before the first step; a recipe that lies here stays as it is."""
        self.record = SlimRecord.model_validate({"asked": asked, **facts})
        self._write()
        target = self.path / RECIPE
        if given is None or given.resolve() != target.resolve():
            atomic_write(target, toml.encode())

    def finish(self, result: Mapping[str, Any]) -> None:
        """Records what all of it came to."""
        self.record = self.record.model_copy(update={"status": "finished", "result": dict(result)})
        self._write()

    def note_pages(self, made_of: str) -> None:
        """Records what the pages were made of."""
        self.record = self.record.model_copy(update={"pages": made_of})
        self._write()

    def _write(self) -> None:
        write_json(self.path / RECORD, self.record.model_dump(mode="json"))

    def _read(self) -> SlimRecord:
        path = self.path / RECORD
        if not path.exists():
            if (self.path / OF_RUN).exists():
                raise UsageError(f"{self.path} is the folder of another run; give another `save`")
            if (self.path / NETWORK).exists() and not (self.path / RECIPE).exists():
                raise UsageError(f"{self.path} holds a {NETWORK} that no recipe left there; give another `save`")
            return SlimRecord()
        try:
            return as_model(SlimRecord, read_json(path))
        except (OSError, ValueError) as error:
            raise NetslimError(f"{path} can't be read ({error}); delete it: finished steps stay") from error
