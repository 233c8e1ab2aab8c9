"""Whole trainings on a few random images, as they are and recorded, and whether they came out the same."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from netslim.training.cuda_graphs import Graphs, Recorder
from netslim.training.evaluate import Evaluation, evaluate
from netslim.training.loop import Training, TrainState
from netslim.training.optimizer import build_sgd
from netslim.training.penalties import PENALTIES, PenaltyOptions
from netslim.training.precision import EXACT
from netslim.training.step import TrainStep

EPOCHS, FULL, LAST = 7, 3, 2  # an epoch has three batches of eight images, and one of two


class Batches:
    """Random batches that are overwritten as soon as the next one is asked for."""

    def __len__(self) -> int:
        return FULL + 1

    def count(self, number: int) -> int:
        return 8 if number < FULL else LAST

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(epoch)
        made = [
            (
                torch.randn(self.count(number), 1, 4, 4, generator=generator),
                torch.randint(0, 3, (self.count(number),), generator=generator),
            )
            for number in range(len(self))
        ]
        for images, labels in made[start:]:
            yield images, labels
            images.fill_(float("nan"))
            labels.fill_(-1)


class Rows:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def batch(self, *_: object) -> None:
        pass

    def epoch(self, row: dict[str, Any]) -> None:
        times = ("seconds", "images_per_second", "waiting")
        self.rows.append({key: value for key, value in row.items() if key not in times})


class Run:
    """A training of a network, recorded if there is a recorder."""

    def __init__(
        self,
        model: nn.Module,
        recorder: Recorder | None = None,
        *,
        kind: str = "l1",
        schedule: str = "step",
        penalty: dict[str, Any] | None = None,
        sgd: dict[str, Any] | None = None,
        stop_after: int = 0,
        state: TrainState | None = None,
        **options: Any,
    ) -> None:
        self.model, self.lines, self.reporter = model, [], Rows()
        self.graphs = Graphs(recorder, self.lines.append) if recorder else None
        optimizer = build_sgd(model, **{"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2, **(sgd or {})})
        strength = PENALTIES.get(kind).build(model, 0.02, PenaltyOptions(**(penalty or {})))
        given = {"precision": EXACT, "penalty": strength, "graphs": self.graphs, **options}
        self.step = TrainStep(model, optimizer, **given)
        self.left = stop_after
        self.training = Training(
            step=self.step,
            batches=Batches(),
            evaluate=self._evaluate,
            epochs=EPOCHS,
            lr=0.1,
            schedule=schedule,
            seed=1,
            by_objective=True,
            stop=self._stop,
            save=lambda *_: None,
            reporter=self.reporter,
            state=state or TrainState(),
        )

    def go(self) -> "Run":
        self.training.run()
        return self

    def _stop(self) -> bool:
        self.left -= 1
        return self.left == 0

    def _evaluate(self) -> Evaluation:
        return evaluate(self.model, Batches().epoch(99), graphs=self.graphs)

    @property
    def end(self) -> list[Tensor]:
        groups = self.step.state()
        return [*groups[0], *groups[1], *groups[2]]


def same(some: Run, other: Run) -> bool:
    pairs = zip(some.end, other.end, strict=True)
    return some.reporter.rows == other.reporter.rows and all(torch.equal(one, two) for one, two in pairs)
