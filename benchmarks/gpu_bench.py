"""What the parts of `gpu.py` share: how much is measured, the clock, the rows, and images."""

import argparse
import contextlib
import io
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netslim.data.dataset import Augmentation, ImageDataset, Split
from netslim.stages.train import run as train
from netslim.stages.train.config import TrainConfig
from table import write_rows

SIDE = 32


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured; `seconds` is the time of a part, in which it stops."""

    depth: int = 164
    small: int = 20  # depth for trainings to the end
    batch: int = 64
    batches: tuple[int, ...] = (64, 128, 256, 512, 1024)
    images: int = 50_000
    epochs: int = 6
    seeds: tuple[int, ...] = (1, 2, 3)
    block: int = 10  # steps between two looks at the clock
    measured: float = 4.0  # seconds per side
    seconds: dict[str, float] = field(
        default_factory=lambda: {"steps": 120, "batches": 80, "accuracy": 55, "epoch": 60, "latency": 30}
    )


TINY = Sizes(
    depth=11, small=11, batch=8, batches=(8, 16), images=64, epochs=2, seeds=(1, 2), block=2, measured=0.2,
    seconds=dict.fromkeys(("steps", "batches", "accuracy", "epoch", "latency"), 30),
)  # fmt: skip


class Bench:
    """One part: its arguments, its clock and its rows."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.part: str = arguments.part
        self.original: Path | None = arguments.original
        self.data_dir: Path | None = arguments.data_dir
        self.device = torch.device(arguments.device)
        self.sizes = TINY if arguments.tiny else Sizes()
        self.data = "cifar10" if self.data_dir else "synthetic"
        self.file: Path = arguments.out / f"gpu_{self.part}.csv"
        self.rows: list[dict[str, Any]] = []
        self._end = time.monotonic() + self.sizes.seconds[self.part]

    @property
    def left(self) -> bool:
        """Whether there is time for more."""
        return time.monotonic() < self._end

    def add(self, row: dict[str, Any]) -> None:
        """Prints a row, and writes all of them so far."""
        self.rows.append({**row, "tiny": self.sizes is TINY})
        names = dict.fromkeys(name for each in self.rows for name in each)
        write_rows(self.file, [{name: each.get(name, "") for name in names} for each in self.rows], show=False)
        print(*(f"{key}={_short(value)}" for key, value in row.items()), flush=True)

    def train(self, **given: Any) -> dict[str, Any]:
        """A training from scratch in bf16: the stage's result, with the epochs' rows and what became of the graphs."""
        shown = io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            with contextlib.redirect_stdout(shown):
                config = TrainConfig(
                    dataset=self.data,
                    data_dir=self.data_dir,
                    device=str(self.device),
                    precision="bf16",
                    log_interval=10_000,
                    save=Path(folder) / "run",
                    **given,
                )
                result = train.run(config)
            metrics = (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()
        off = [line for line in shown.getvalue().splitlines() if "graphs are off" in line or "not compiled" in line]
        return {**result, "metrics": [json.loads(line) for line in metrics], "graphs": "; ".join(off) or "on"}


def random_batch(bench: Bench, batch: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(batch, 3, SIDE, SIDE, generator=generator), torch.arange(batch) % 10
    return images.to(bench.device), labels.to(bench.device)


def synthetic(images: int) -> ImageDataset:
    """Noise, and one pattern per class in it that is weak enough to leave mistakes."""
    generator = torch.Generator().manual_seed(0)
    patterns = nn.functional.interpolate(torch.randn(10, 3, 4, 4, generator=generator), size=SIDE, mode="bilinear")

    def split(count: int) -> Split:
        labels = torch.arange(count) % 10
        pixels = torch.randn(count, 3, SIDE, SIDE, generator=generator).mul_(60).add_(128)
        return Split(pixels.add_(8 * patterns[labels]).clamp_(0, 255).byte(), labels)

    return ImageDataset(
        name="synthetic",
        train=split(images),
        test=split(max(20, images // 5)),
        class_names=tuple("0123456789"),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        augmentation=Augmentation(pad=4, flip=False),
    )


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value
