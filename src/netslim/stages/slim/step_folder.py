"""The folder of a step: which settings and files it is of, and whether it is done.

`step.json` lies in the folder itself, so that a folder and what it is of move together, in one rename.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from netslim.core.disk import DISK
from netslim.core.errors import InterruptedRunError, NetslimError, UsageError, retold
from netslim.core.files import check_readable, file_hash, make_folder, write_errors, write_json
from netslim.core.schemas import FileModel, as_model, read_json
from netslim.report.console import say
from netslim.stages.shared.own_code import own_code
from netslim.stages.slim.settings import Planned

RECORD = "step.json"
EARLIER = "earlier"  # where folders wait whose settings are no longer asked for
SHOWN = 3  # changes in a message


class StepRecord(FileModel):
    """`step.json`."""

    verb: str
    fingerprint: str
    status: Literal["running", "finished"]
    settings: dict[str, Any]
    inputs: dict[str, str]
    sha256: str | None = None
    result: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What the result of a step depends on: its settings, and the hashes of the files that it reads."""

    verb: str
    settings: dict[str, Any]
    inputs: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """A hash of all of it."""
        text = json.dumps([self.verb, self.settings, self.inputs], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def identity_of(planned: Planned) -> Identity:
    """The identity of a step whose input files are there. Raises CheckpointError for one that is not."""
    config = planned.config
    for path in planned.inputs.values():
        check_readable(path)
    files = {use.setting for use in (*config.reads(), *config.writes())}
    settings = {name: value for name, value in config.fixed().items() if name not in files}
    inputs = {name: file_hash(path) for name, path in (*planned.inputs.items(), *own_code(config).items())}
    return Identity(verb=planned.step.verb, settings=settings, inputs=inputs)


def run_step(planned: Planned) -> dict[str, Any]:
    """Does a step, or goes on with it, or takes what it found when it was done before.

    What lies in its folder but is of other settings or files moves to `earlier/`, and comes back when it is asked for.

    Raises:
        UsageError: the folder holds something that is of no recipe.
        NetslimError: whatever the verb raises, with the step's name in front.
    """
    try:
        return _run_step(planned)
    except InterruptedRunError:
        raise
    except NetslimError as error:
        raise retold(error, f"step '{planned.step.name}': {error}") from error


def _run_step(planned: Planned) -> dict[str, Any]:
    folder, identity = planned.folder, identity_of(planned)
    _make_way(planned, identity)
    record = read_record(folder)
    if record is not None and record.status == "finished":
        say(f"{folder} is finished; nothing to do")
        return record.result or {}
    facts: dict[str, Any] = {"verb": identity.verb, "fingerprint": identity.fingerprint}
    facts |= {"settings": identity.settings, "inputs": identity.inputs}
    with write_errors(folder):
        make_folder(folder)
    write_json(folder / RECORD, {**facts, "status": "running"})
    result = json.loads(json.dumps(planned.step.kind.stage.run(planned.config), default=str))
    sha256 = file_hash(planned.network) if planned.network else None
    write_json(folder / RECORD, {**facts, "status": "finished", "sha256": sha256, "result": result})
    return dict(result)


def is_done(planned: Planned) -> bool:
    """Whether a step has nothing to do: it is finished with these settings, from these files."""
    record = read_record(planned.folder)
    if record is None or record.status != "finished" or not all(path.is_file() for path in planned.inputs.values()):
        return False
    return record.fingerprint == identity_of(planned).fingerprint and _is_whole(planned, record)


def read_record(folder: Path) -> StepRecord | None:
    """What a folder says of itself; None if it is no step's.

    Raises:
        NetslimError: the record is damaged.
    """
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        return as_model(StepRecord, read_json(path))
    except (OSError, ValueError) as error:
        raise NetslimError(f"{path} can't be read ({error}); delete {folder} to run the step again") from error


def _make_way(planned: Planned, identity: Identity) -> None:
    """Leaves in the step's folder what belongs there, if it is anywhere near, or nothing."""
    folder, wanted = planned.folder, identity.fingerprint
    record = read_record(folder)
    if record is None and folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UsageError(f"{folder} holds files that are of no recipe: move them, or give another `save`")
    if record is not None and record.fingerprint != wanted:
        say(f"{folder}: {_changes(record, identity)}; what is there moves to {folder.parent / EARLIER}")
        _set_aside(folder, record)
    for other in sorted(folder.parent.glob(f"[0-9][0-9]-{folder.name[3:]}")):  # it had another number
        found = read_record(other) if other != folder else None
        if found is not None:
            _set_aside(other, found)
    back = _aside(folder, wanted)
    if back.is_dir() and not (folder / RECORD).exists():
        say(f"{folder}: was done before with these settings, and comes back from {back}")
        with write_errors(folder):
            _rename(back, folder)
    record = read_record(folder)
    if record is not None and record.status == "finished" and not _is_whole(planned, record):
        say(f"{planned.network} is not the file that was written there: the step runs again")
        _set_aside(folder, record)


def _rename(old: Path, new: Path) -> None:
    """Moves a folder; in the way can be an empty one, or one in which a process was killed before it began."""
    if new.is_dir():
        DISK.remove(new)
    DISK.rename(old, new)


def _is_whole(planned: Planned, record: StepRecord) -> bool:
    path = planned.network
    return path is None or (path.is_file() and file_hash(path) == record.sha256)


def _set_aside(folder: Path, record: StepRecord) -> None:
    target = _aside(folder, record.fingerprint)
    count = 1
    while target.exists():
        count += 1
        target = target.with_name(f"{_aside(folder, record.fingerprint).name}-{count}")
    with write_errors(target):
        make_folder(target.parent)
        DISK.rename(folder, target)


def _aside(folder: Path, fingerprint: str) -> Path:
    """Where a folder of this fingerprint waits; its number counts for nothing."""
    return folder.parent / EARLIER / f"{folder.name[3:]}-{fingerprint[:8]}"


def _changes(record: StepRecord, identity: Identity) -> str:
    """What is asked for now and was not then."""
    if record.verb != identity.verb:
        return f"it was made by {record.verb}, this is {identity.verb}"
    names = sorted(record.settings.keys() | identity.settings.keys())
    found = [
        f"{name} {record.settings.get(name)} there, {identity.settings.get(name)} now"
        for name in names
        if record.settings.get(name) != identity.settings.get(name)
    ]
    found += ["it starts from another file"] if record.inputs != identity.inputs else []
    return ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
