"""A run directory is one phase: `run.json` says what it is, `metrics.jsonl` what happened; one process writes."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from netslim.core.config import StageConfig
from netslim.core.errors import NetslimError, UsageError
from netslim.core.files import (
    append,
    atomic_write,
    check_readable,
    file_hash,
    make_folder,
    read_text,
    remove_leftovers,
    write_errors,
    write_json,
)
from netslim.core.runs.environment import commit, versions
from netslim.core.runs.file_names import METRICS, PAGE, RECORD
from netslim.core.runs.noticed import noticed
from netslim.core.schemas import LARGEST_JSON, MetricsRow, RunRecord, as_model, parse_json, read_json


class RunStatus(Enum):
    """Where a run directory stands when it is opened."""

    NEW = "new"
    RUNNING = "running"
    FINISHED = "finished"


class RunDirectory:
    """A locked directory that belongs to one stage with one configuration.

    Args:
        path: the directory; made if missing.
        stage: what works in it.
        config: its configuration; settings marked free may differ from the run that is there.
        parents: files that the run starts from, by setting name (`{"resume": Path(...)}`); compared by content. One
            that lies in the directory itself asks to go on with the run that is there.
        writes: names of the files that the stage writes; a directory that holds one of them but no run is refused.

    Raises:
        UsageError: the directory is in use by another process, or holds a run of another configuration.
        NetslimError: the directory can't be written to.
    """

    _record: dict[str, Any]

    def __init__(
        self, path: Path, stage: str, config: StageConfig, *, parents: Mapping[str, Path], writes: Sequence[str]
    ) -> None:
        self.path = path
        self._writes = writes
        self._inside = ExitStack()
        self._warnings: list[str] = []
        with write_errors(path):
            if not (path / RECORD).exists():
                for name, parent in parents.items():  # before a folder is made for a run that can't start
                    code = name.removeprefix("code of ")
                    check_readable(parent, "checkpoint file" if code == name else f"file of code, given as `{code}`")
            make_folder(path)
            self._lock = self._acquire()
            for name in (RECORD, METRICS, PAGE, *writes):
                remove_leftovers(path / name)
        try:
            self._record = self._open(stage, config, parents)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> "RunDirectory":
        self._warnings = self._inside.enter_context(noticed())
        return self

    def __exit__(self, *_: object) -> None:
        self._inside.close()
        if self.status is RunStatus.NEW:  # it ended before it began: leave no folder behind
            with suppress(OSError):
                for name in (RECORD, ".lock"):
                    (self.path / name).unlink(missing_ok=True)
                self.path.rmdir()
        self._lock.release()

    @property
    def status(self) -> RunStatus:
        """Where the run stands."""
        return RunStatus(self._record["status"])

    @property
    def run_id(self) -> str:
        """The run's identity, drawn when it began."""
        return str(self._record["run_id"])

    @property
    def result(self) -> dict[str, Any]:
        """What `finish` recorded; empty before."""
        return _Result(self._record.get("result") or {}, path=self.path / RECORD)

    def provenance(self, config: StageConfig) -> dict[str, Any]:
        """Where a file written by this run comes from, for its checkpoint."""
        return {
            "run_id": self.run_id,
            "stage": self._record["stage"],
            "parents": self._record["parents"],
            "versions": versions(),
            "commit": commit(),
            "config": config.model_dump(mode="json"),
        }

    def remember(self, name: str, value: Any) -> Any:
        """Returns what was remembered under `name`, after recording `value` if nothing was: a choice is made once."""
        choices = self._record["choices"] = self._record.get("choices") or {}
        if name not in choices:
            choices[name] = value
            self._write()
        return choices[name]

    def begin(self) -> None:
        """Marks the run as running; from now on it can be continued. A row that a crash cut off goes."""
        if self._metrics.exists() and not self._metrics.read_bytes().endswith(b"\n"):
            self._rewrite(self.metrics())
        self._set_status(RunStatus.RUNNING)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Marks the run as finished, with what it found and what netslim warned of since it was entered."""
        self._record["result"] = dict(result)
        self._record["warnings"] = list(dict.fromkeys(self._warnings))
        self._set_status(RunStatus.FINISHED)

    def log(self, row: Mapping[str, Any]) -> None:
        """Appends one line to `metrics.jsonl`."""
        append(self._metrics, json.dumps(dict(row)))

    def rewind(self, epoch: int) -> None:
        """Drops rows of `metrics.jsonl` that belong to `epoch` or later: they will be written again."""
        self._rewrite([row for row in self.metrics("epoch") if row["epoch"] < epoch])

    def metrics(self, *needed: str) -> list[dict[str, Any]]:
        """The rows of `metrics.jsonl`; a last line cut off by a crash is left out.

        Args:
            needed: columns that every row must have.

        Raises:
            NetslimError: the file is damaged.
        """
        return read_metrics(self._metrics, *needed)

    def _rewrite(self, rows: Sequence[Mapping[str, Any]]) -> None:
        atomic_write(self._metrics, "".join(json.dumps(row) + "\n" for row in rows).encode())

    @property
    def _metrics(self) -> Path:
        return self.path / METRICS

    def _acquire(self) -> FileLock:
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise UsageError(f"{self.path} is in use by another process; wait for it or give another `save`") from None
        return lock

    def _open(self, stage: str, config: StageConfig, parents: Mapping[str, Path]) -> dict[str, Any]:
        record = self._read()
        if record is None or record["status"] == RunStatus.NEW.value:
            self._refuse_foreign()
            return {
                "run_id": secrets.token_hex(8),
                "stage": stage,
                "status": RunStatus.NEW.value,
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "config": config.fixed(),
                "settings": config.changed(),
                "parents": {name: _identity(parent) for name, parent in parents.items()},
                "versions": versions(),
                "commit": commit(),
            }
        here = Path(os.path.realpath(self.path))  # of links that lead nowhere, too
        own = {name for name, parent in parents.items() if Path(os.path.realpath(parent)).parent == here}
        record["config"] = config.option_defaults() | record["config"]
        differences = _differences(record, stage, config.fixed(), parents, own)
        if differences:
            raise UsageError(
                f"{self.path} holds another run ({'; '.join(differences)}); give another `save`, "
                f"repeat that run's settings to go on with it, or delete the folder"
            )
        return record

    def _read(self) -> dict[str, Any] | None:
        path = self.path / RECORD
        if not path.exists():
            return None
        try:
            record: dict[str, Any] = read_json(path)
            as_model(RunRecord, record)
        except (OSError, ValueError) as error:
            raise NetslimError(f"{path} can't be read ({error}); give another `save` or delete the folder") from error
        return record

    def _refuse_foreign(self) -> None:
        found = [name for name in self._writes if (self.path / name).exists()]
        if found:
            raise UsageError(
                f"{self.path} already holds {', '.join(found)}, which no run of netslim wrote there; "
                f"give another `save`"
            )

    def _set_status(self, status: RunStatus) -> None:
        self._record["status"] = status.value
        self._write()

    def _write(self) -> None:
        write_json(self.path / RECORD, self._record)


class _Result(dict[str, Any]):
    """What a run found; of a record that lacks something it is the file that is to blame."""

    def __init__(self, found: Mapping[str, Any], path: Path) -> None:
        super().__init__(found)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise NetslimError(f"{self._path} can't be read (its result has no {key}); delete the folder to run again")


def read_metrics(path: Path, *needed: str) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`, none where it is not there; see `RunDirectory.metrics`. Needs no lock."""
    try:
        text = read_text(path, LARGEST_JSON) if path.exists() else ""
        lines = text.split("\n")[:-1]  # what follows the last line's end was cut off
        return [_row(number, line, needed) for number, line in enumerate(lines, 1)]
    except (OSError, ValueError) as error:
        raise NetslimError(f"{path} is damaged ({error}); give another `save`, or delete the folder") from error


def _row(number: int, line: str, needed: Sequence[str]) -> dict[str, Any]:
    try:
        row: dict[str, Any] = parse_json(line)
        as_model(MetricsRow, row)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error
    for name in needed:
        if row.get(name) is None:
            raise ValueError(f"line {number} has no {name}")
    return row


def _identity(parent: Path) -> dict[str, str]:
    identity = {"path": str(parent)}
    with suppress(OSError):  # a file that is gone is known by its path alone
        identity["sha256"] = file_hash(parent)
    return identity


def _differences(
    record: Mapping[str, Any], stage: str, fixed: Mapping[str, Any], parents: Mapping[str, Path], own: set[str]
) -> list[str]:
    """What sets a recorded run apart from the one asked for; a parent in `own` asks for the recorded one."""
    if record["stage"] != stage:
        return [f"it was made by '{record['stage']}', this is '{stage}'"]
    there, was = record["config"], record["parents"]
    files = was.keys() | parents.keys()
    differences = [
        f"{name}: {there.get(name)} there, {fixed.get(name)} now"
        for name in sorted((there.keys() | fixed.keys()) - files)
        if there.get(name) != fixed.get(name)
    ]
    if own:
        return differences
    for name in sorted(files):
        now = _identity(parents[name]) if name in parents else None
        if not _same_parent(was.get(name), now):
            differences.append(f"{name}: {_describe(was.get(name))} there, {_describe(now)} now")
    return differences


def _same_parent(there: Mapping[str, str] | None, now: Mapping[str, str] | None) -> bool:
    if there is None or now is None:
        return there is now
    if "sha256" in there and "sha256" in now:
        return there["sha256"] == now["sha256"]
    return there["path"] == now["path"]  # the file is gone: the run's own checkpoint is enough to go on


def _describe(parent: Mapping[str, str] | None) -> str:
    return f"{parent['path']} ({parent.get('sha256', 'missing')[:8]})" if parent else "none"
