"""The folder of a training run: the first process reads and writes it, and all processes know what it holds."""

from collections.abc import Callable
from typing import Any, TypeVar

from netslim.core.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from netslim.core.errors import CheckpointError
from netslim.core.processes.distributed import World
from netslim.core.processes.signals import Stopped
from netslim.core.runlog import RunDirectory, RunStatus
from netslim.core.runs.file_names import BEST, CHECKPOINT
from netslim.report.page.beside import write_beside, write_missing
from netslim.report.trackers import TrackedRun, Tracking
from netslim.stages.shared.own_code import own_code
from netslim.stages.train.config import TrainConfig

PARENTS = ("resume", "refine", "teacher")  # settings that name a file which a run starts from
T = TypeVar("T")


class TrainFiles:
    """Checkpoints, metrics and record of one run, for all of its processes.

    Args:
        config: of the run.
        world: the processes, which call every method at the same time.

    Attributes:
        status: where the run stood when it was opened.
        result: what it recorded, if it is finished.

    Raises:
        UsageError: the folder is in use, or holds another run.
        NetslimError: it can't be written to.
    """

    _directory: RunDirectory  # in the first process alone
    _tracking: Tracking | None = None

    def __init__(self, config: TrainConfig, world: World) -> None:
        self._config = config
        self._world = world
        self.status, self.result = world.from_first(self._open)

    def __enter__(self) -> "TrainFiles":
        if self._world.first:
            self._directory.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._tracking:
            self._tracking.close()
        if self._world.first:
            if isinstance(error[1], Stopped) and self._directory.status is RunStatus.RUNNING:  # between two batches
                write_beside(self._config.save)
            self._directory.__exit__(*error)

    def previous(self) -> Checkpoint | None:
        """The checkpoint to go on from, if this run was cut off after it wrote one."""
        return self._world.from_first(self._previous)

    def best(self) -> Checkpoint:
        """The checkpoint of the chosen epoch."""
        return self._world.from_first(lambda: read_checkpoint(self._config.save / BEST))

    def remember(self, name: str, choose: Callable[[], T], default: T) -> T:
        """What was chosen when the run was new, by the first process; `default` for a run that recorded nothing."""

        def remembered() -> T:
            value = default if self.status is RunStatus.RUNNING else choose()
            found: T = self._directory.remember(name, value)
            return found

        return self._world.from_first(remembered)

    def begin(self, epoch: int) -> None:
        """Marks the run as running from `epoch` on."""

        def act() -> None:
            self._directory.rewind(epoch)
            self._directory.begin()
            if config.track:
                run_id, settings = self._directory.run_id, config.model_dump(mode="json")
                run = TrackedRun(folder=config.save, run_id=run_id, settings=settings, first=epoch)
                self._tracking = Tracking(config.track, run)

        config = self._config
        self._world.from_first(act)

    def save(self, make: Callable[[bool], Checkpoint], row: dict[str, Any] | None, best: bool) -> None:
        """Metrics, best model, checkpoint, in this order: cut off in between, the epoch runs again to the same end.

        Args:
            make: the checkpoint, with the optimizer's momentum or without.
            row: metrics of the epoch that ended, or None in the middle of one.
            best: whether the network is the best so far.
        """

        def act() -> None:
            if row is not None:
                self._directory.log({**row, "selected_on": self._config.select_on})
                if self._tracking:
                    self._tracking.log(row, row["epoch"])
            if best:
                self._write(BEST, make(False))
            self._write(CHECKPOINT, make(True))

        self._world.from_first(act)

    def seconds(self) -> float:
        """Time spent in all epochs."""
        return self._world.from_first(lambda: float(sum(row["seconds"] for row in self._directory.metrics("seconds"))))

    def finish(self, result: dict[str, Any]) -> None:
        """Marks the run as finished, with what it found, and writes its page."""

        def act() -> None:
            self._directory.finish(result)
            if self._tracking:
                self._tracking.finish(result)
            write_beside(self._config.save)

        self._world.from_first(act)

    def stopped(self) -> None:
        """Writes the page of a run that was cut off."""
        self._world.from_first(lambda: write_beside(self._config.save))

    def _open(self) -> tuple[RunStatus, dict[str, Any]]:
        config = self._config
        parents = {name: path for name in PARENTS if (path := getattr(config, name)) is not None} | own_code(config)
        self._directory = RunDirectory(config.save, "train", config, parents=parents, writes=(CHECKPOINT, BEST))
        if self._directory.status is RunStatus.FINISHED:
            write_missing(config.save)
        return self._directory.status, self._directory.result

    def _previous(self) -> Checkpoint | None:
        path = self._config.save / CHECKPOINT
        if self.status is not RunStatus.RUNNING or not path.exists():
            return None
        checkpoint = read_checkpoint(path)
        if checkpoint.provenance.get("run_id") != self._directory.run_id:
            raise CheckpointError(f"{path} was not written by the run in this folder; give another `save`")
        return checkpoint

    def _write(self, name: str, checkpoint: Checkpoint) -> None:
        checkpoint.provenance = self._directory.provenance(self._config)
        write_checkpoint(self._config.save / name, checkpoint)
