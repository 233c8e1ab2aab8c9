"""How a training goes: a bar on a terminal, plain lines elsewhere. And how far layer by layer some work is."""

import time
from collections.abc import Callable
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from netslim.report.console import console, say, spelled
from netslim.report.tables import percent, size

WAITING, WORTH = 0.05, 1.0  # share of the time, and seconds of the epoch it is of, that are worth a word


class TrainingProgress:
    """Shows every batch on a bar if standard output is a terminal, else one line in `log_interval` batches.

    Args:
        epochs: number of epochs in all.
        log_interval: batches between plain lines.
        selected_on: the split that `top1` of an epoch is measured on.
        sparse: whether the penalty is worth a column.
        label: of the metric.
        shown: how its values are written.
        workers: whether other processes load the images.
        waits: whether the share of the time in which training waited for images means anything.
    """

    def __init__(
        self,
        *,
        epochs: int,
        log_interval: int,
        selected_on: str,
        sparse: bool,
        label: str = "top-1",
        shown: Callable[[float], str] = percent,
        workers: bool = False,
        waits: bool = True,
    ) -> None:
        self._waits = waits
        self._epochs = epochs
        self._log_interval = log_interval
        self._selected_on = selected_on
        self._sparse = sparse
        self._label = label
        self._shown = shown
        more = "more `workers`" if workers else "more cores"
        self._helps = f"a larger `batch_size`, a smaller `image_size` or {more} help"
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if console().is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[numbers]}"))
            self._bar = Progress(*columns, console=console(), transient=True)

    def __enter__(self) -> "TrainingProgress":
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task("", total=None, numbers="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def batch(self, epoch: int, done: int, total: int, numbers: dict[str, float]) -> None:
        """After a batch; see `netslim.training.loop.Reporter`."""
        if self._bar:
            text = f"{done}/{total}  {_line(numbers)}"
            self._bar.update(
                self._task, description=f"epoch {epoch}/{self._epochs}", completed=done, total=total, numbers=text
            )
        elif done % self._log_interval == 0 and done < total:
            say(f"Train Epoch: {epoch} [{done}/{total} batches]  {_line(numbers)}")

    def epoch(self, row: dict[str, Any]) -> None:
        """After an epoch, with its row of metrics."""
        sparse = (
            f"  penalty {row['penalty']:.4f}  near zero {percent(row['near_zero_scales'], 1)}" if self._sparse else ""
        )
        sparse += f"  zero {percent(row['zero_scales'], 1)}" if self._sparse and row.get("zero_scales") else ""
        sparse += f"  {row['channels']:,} channels, {size(row['macs'])} MACs left" if "channels" in row else ""
        line = (
            f"epoch {row['epoch'] + 1}/{self._epochs}  lr {row['lr']:.4g}  loss {row['loss']:.4f}{sparse}  "
            f"{self._judged(row)}  {row['images_per_second']:.0f} images/s{self._waiting(row)}"
        )
        if self._bar:
            self._bar.console.print(spelled(line), soft_wrap=True)
        else:
            say(line)

    def _waiting(self, row: dict[str, Any]) -> str:
        """What to do where training waits for its images; once, since the next epoch waits as well."""
        if not self._waits or row["waiting"] < WAITING or row["seconds"] < WORTH:
            return ""
        self._waits = False
        return f"  {percent(row['waiting'], 0)} waiting for images: {self._helps}"

    def _judged(self, row: dict[str, Any]) -> str:
        """The metric on the split that chooses the model; top-1 is known of the training images, too."""
        train = f"train top-1 {percent(row['train_top1'])}  " if "train_top1" in row else ""
        value, best = (row["top1"], row["best_top1"]) if train else (row["metric"], row["best_metric"])
        return f"{train}{self._selected_on} {self._label} {self._shown(value)} (best {self._shown(best)})"


class LayersProgress:
    """A bar of layers while they are worked off, if standard output is a terminal; nothing elsewhere.

    Args:
        title: what is done to them.
    """

    def __init__(self, title: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn())
        self._bar = Progress(*columns, console=console(), transient=True, disable=not console().is_terminal)
        self._task = self._bar.add_task(title, total=None, visible=False)

    def __enter__(self) -> "LayersProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def layer(self, done: int, total: int) -> None:
        """Before each layer's turn, with the number of turns behind and of all."""
        self._bar.update(self._task, completed=done, total=total, visible=True)


def _line(numbers: dict[str, float]) -> str:
    top1 = f"  top-1 {percent(numbers['top1'], 1)}" if "top1" in numbers else ""
    left = time.strftime("%H:%M:%S", time.gmtime(numbers["seconds_left"]))
    return f"loss {numbers['loss']:.4f}{top1}  {numbers['images_per_second']:.0f} images/s  {left} left"
