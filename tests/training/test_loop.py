"""The loop on real steps and real batches; what is saved is kept in memory, as a checkpoint would hold it."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pairs_of_runs import Run as Pair
from torch import Tensor, nn

from netslim.core.errors import DivergedError
from netslim.data import Augmentation, ImageDataset, Split, TrainBatches, evaluation_batches
from netslim.training.distillation import Teacher
from netslim.training.evaluate import Evaluation, evaluate
from netslim.training.loop import CHECK_EVERY, StopRequested, Training, TrainState
from netslim.training.optimizer import build_sgd, export_state, import_state
from netslim.training.penalties import PENALTIES, PenaltyOptions
from netslim.training.penalties.l1 import L1Penalty
from netslim.training.precision import Precision
from netslim.training.step import TrainStep

IMAGES, BATCH_SIZE, EPOCHS = 13, 4, 4  # the last batch has one image
BATCHES = 4
TIMES = ("seconds", "images_per_second", "waiting")


def dataset() -> ImageDataset:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(IMAGES) % 3
    images = (torch.randint(0, 80, (IMAGES, 1, 4, 4), generator=generator) + 80 * labels.view(-1, 1, 1, 1)).byte()
    return ImageDataset(
        name="tiny",
        train=Split(images, labels),
        test=Split(images[:9], labels[:9]),
        class_names=("a", "b", "c"),
        mean=(0.5,),
        std=(0.25,),
        augmentation=Augmentation(pad=1, flip=True),
    )


class Silent:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.shown: list[tuple[int, int, int, dict[str, float]]] = []

    def batch(self, epoch: int, done: int, total: int, numbers: dict[str, float]) -> None:
        self.shown.append((epoch, done, total, numbers))

    def epoch(self, row: dict[str, Any]) -> None:
        self.rows.append({key: value for key, value in row.items() if key not in TIMES})


class Run:
    """A training that can be cut off and taken up again from what was saved last."""

    def __init__(
        self,
        model: nn.Module,
        *,
        precision: str = "fp32",
        s: float = 1e-3,
        lr: float = 0.1,
        penalty: str = "l1",
        options: PenaltyOptions | None = None,
        teacher: nn.Module | None = None,
    ) -> None:
        self.start = copy.deepcopy(model)
        self.precision, self.s, self.lr = precision, s, lr
        self.penalty, self.options, self.teacher = penalty, options, teacher
        self.saved: dict[str, Any] | None = None
        self.saves = 0
        self.reporter = Silent()
        self.bests: list[int] = []

    def go(self, stop_at: int | None = None) -> nn.Module:
        """Trains until the end or until `stop_at` was asked that often whether to stop."""
        model = copy.deepcopy(self.start)
        optimizer = build_sgd(model, lr=self.lr, momentum=0.9, weight_decay=1e-4)
        step = TrainStep(
            model,
            optimizer,
            precision=Precision(self.precision),
            penalty=PENALTIES.get(self.penalty).build(model, self.s, self.options),
            teacher=Teacher(copy.deepcopy(self.teacher)) if self.teacher else None,
        )
        data, state = dataset(), TrainState()
        if self.saved:
            model.load_state_dict(self.saved["model"])
            import_state(optimizer, model, self.saved["optimizer"])
            step.scaler.load_state_dict(self.saved["scaler"])
            state = replace(self.saved["state"])
        asked = 0

        def stop() -> bool:
            nonlocal asked
            asked += 1
            return asked == stop_at

        def save(now: TrainState, row: dict[str, Any] | None, best: bool) -> None:
            self.saves += 1
            if best:
                self.bests.append(now.epoch)
            exported = export_state(optimizer, model), step.scaler.state_dict()
            self.saved = copy.deepcopy(
                {"model": model.state_dict(), "optimizer": exported[0], "scaler": exported[1], "state": now}
            )

        def check() -> Evaluation:
            batches = evaluation_batches(data.test, data, batch_size=4, device="cpu")
            return evaluate(model, batches, between=training.check_stop)

        training = Training(
            step=step,
            batches=TrainBatches(data.train, data, batch_size=BATCH_SIZE, seed=1, device="cpu"),
            evaluate=check,
            epochs=EPOCHS,
            lr=self.lr,
            schedule="step",
            seed=1,
            by_objective=False,
            stop=stop,
            save=save,
            reporter=self.reporter,
            state=state,
        )
        training.run()
        return model


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


PLACES = EPOCHS * (BATCHES + 3)  # after every batch, training's and evaluation's


@pytest.mark.parametrize("precision", ["fp32", "bf16", pytest.param("fp16", marks=pytest.mark.slow)])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, PLACES), max_size=4))
def test_stopped_anywhere_it_goes_on_to_the_same_bits(
    make_tiny: Callable[[], nn.Module], precision: str, stops: list[int]
) -> None:
    whole = Run(make_tiny(), precision=precision)
    expected = whole.go()
    cut = Run(make_tiny(), precision=precision)
    for stop_at in stops:
        try:
            cut.go(stop_at)
        except StopRequested:
            continue
    assert_same(expected, cut.go())
    assert {row["epoch"]: row for row in cut.reporter.rows} == {row["epoch"]: row for row in whole.reporter.rows}
    assert cut.saved is not None
    assert whole.saved is not None
    assert cut.saved["state"] == whole.saved["state"]


@pytest.mark.slow
def test_every_single_place_to_stop(make_tiny: Callable[[], nn.Module]) -> None:
    whole = Run(make_tiny())
    expected = whole.go()
    for stop_at in range(1, PLACES + 1):
        cut = Run(make_tiny())
        with pytest.raises(StopRequested):
            cut.go(stop_at)
        assert_same(expected, cut.go())
        assert cut.reporter.rows == whole.reporter.rows


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("penalty", ["l1", "proximal", "polarization"])
def test_every_penalty_with_schedule_and_teacher_goes_on_to_the_same_bits(
    make_tiny: Callable[..., nn.Module], penalty: str, precision: str
) -> None:
    weights = {"bn": torch.tensor([0.5, 1.0, 2.0, 0.5])}
    options = PenaltyOptions(weights=weights, warmup=1.5, schedule="cosine")

    def new() -> Run:
        return Run(
            make_tiny(), s=0.2, precision=precision, penalty=penalty, options=options, teacher=make_tiny(7)
        )  # fmt: skip

    whole = new()
    expected = whole.go()
    for stops in ([1, 4, 9], [5, 6, 7], [BATCHES + 2, 13]):
        cut = new()
        for stop_at in stops:
            with pytest.raises(StopRequested):
                cut.go(stop_at)
        assert_same(expected, cut.go())
        assert cut.reporter.rows == whole.reporter.rows


def test_the_row_says_how_strong_the_penalty_was_and_what_it_did(make_tiny: Callable[[], nn.Module]) -> None:
    run = Run(make_tiny(), s=0.2, penalty="proximal", options=PenaltyOptions(warmup=1, schedule="lr"))
    model = run.go()
    strengths = [row["penalty_strength"] for row in run.reporter.rows]
    assert strengths == pytest.approx([0.2 * 3 / 4, 0.2, 0.02, 0.002])  # at the epoch's last batch
    scale = model.get_submodule("bn").weight.detach()
    last = run.reporter.rows[-1]
    assert last["penalty"] == pytest.approx(0.2 * float(scale.abs().sum()))
    assert last["zero_scales"] == float((scale == 0).float().mean()) > 0


def test_an_epochs_row(make_tiny: Callable[[], nn.Module]) -> None:
    run = Run(make_tiny())
    model = run.go()
    assert [row["epoch"] for row in run.reporter.rows] == [0, 1, 2, 3]
    assert [row["lr"] for row in run.reporter.rows] == pytest.approx([0.1, 0.1, 0.01, 0.001])
    last = run.reporter.rows[-1]
    assert last["penalty"] == pytest.approx(1e-3 * float(model.get_submodule("bn").weight.detach().abs().sum()))
    assert last["best_top1"] == max(row["top1"] for row in run.reporter.rows)
    assert 0 <= last["train_top1"] <= 1


def test_another_step_is_taken_up_between_two_epochs(make_tiny: Callable[[], nn.Module]) -> None:
    first, second = Pair(make_tiny()), Pair(make_tiny(4))
    frozen: list[dict[str, Tensor]] = []

    def shrink() -> dict[str, Any]:
        if not frozen:
            frozen.append(copy.deepcopy(first.model.state_dict()))
            first.training.step = second.step
        return {"channels": len(frozen)}

    first.training.shrink = shrink
    first.go()
    assert [row["channels"] for row in first.reporter.rows] == [1] * len(first.reporter.rows)
    assert all(torch.equal(value, frozen[0][key]) for key, value in first.model.state_dict().items())
    assert not torch.equal(second.model.get_submodule("bn").weight, make_tiny(4).get_submodule("bn").weight)


def test_running_means_cover_every_image_once(make_tiny: Callable[[], nn.Module]) -> None:
    run = Run(make_tiny())
    run.go()
    assert [shown[:3] for shown in run.reporter.shown[:BATCHES]] == [(1, 1, 4), (1, 2, 4), (1, 3, 4), (1, 4, 4)]
    last = run.reporter.shown[BATCHES - 1][3]
    assert last["loss"] == pytest.approx(run.reporter.rows[0]["loss"])
    assert last["top1"] * IMAGES == pytest.approx(round(last["top1"] * IMAGES))


def test_a_last_batch_of_one_image_is_trained_on(make_tiny: Callable[[], nn.Module]) -> None:
    sizes: list[int] = []
    model = make_tiny()
    model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])) if _.training else None)
    Run(model).go()
    assert sizes[:BATCHES] == [4, 4, 4, 1]


def test_a_loss_of_nan_ends_the_training_and_saves_nothing(make_tiny: Callable[[], nn.Module]) -> None:
    run = Run(make_tiny(), lr=1e30, s=0.0)
    with pytest.raises(DivergedError) as error:
        run.go()
    assert run.saves == 0
    assert str(error.value).startswith("the loss became ")
    assert str(error.value).endswith(
        ", fp32, contiguous). Try a lower `lr`, `clip_grad_norm=1`, or `precision='fp32'`, with another `save`"
    )
    assert " in epoch 1, batch " in str(error.value)
    assert "(learning rate 1e+30, mean loss before: " in str(error.value)
    assert str(error.value).count("\n") == 0


def test_a_checkpoint_that_there_is_stays(make_tiny: Callable[[], nn.Module]) -> None:
    run = Run(make_tiny())
    with pytest.raises(StopRequested):
        run.go(stop_at=3 * BATCHES)  # in a later epoch; evaluation asks too
    assert run.bests
    assert run.saved is not None
    run.saved["model"] = {key: value * 1e38 for key, value in run.saved["model"].items()}
    with pytest.raises(DivergedError, match=r"\); the last good checkpoint is untouched\. Try a lower `lr`"):
        run.go()


def test_weights_ruined_by_the_last_batch_are_seen_before_they_are_saved(make_tiny: Callable[[], nn.Module]) -> None:
    """The loss of a batch is that before its step: only the evaluation sees what the last step did."""
    run = Run(make_tiny())

    class Ruin(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if self.training else x * float("nan")

    run.start = nn.Sequential(run.start, Ruin())
    with pytest.raises(DivergedError, match=r"^the loss became nan in epoch 1, batch 4 "):
        run.go()
    assert run.saves == 0


def training_of(step: TrainStep, **given: Any) -> Training:
    """A training in which what a test does not name does nothing."""
    settings: dict[str, Any] = {
        "epochs": 1,
        "lr": 0.1,
        "schedule": "step",
        "seed": 1,
        "by_objective": False,
        "evaluate": lambda: Evaluation(top1=0.5, loss=1.0, correct=1, images=2),
        "stop": lambda: False,
        "save": lambda state, row, best: None,
        "reporter": Silent(),
    }
    return Training(step=step, **{**settings, **given})


class SlowDevice:
    """Batches that claim to lie on a device where looking at a number makes everything wait."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return self.batches

    def count(self, number: int) -> int:
        return 2

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(start, self.batches):
            yield torch.empty(2, 1, device="meta"), torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize("stop_after", [1, 2, CHECK_EVERY, CHECK_EVERY + 1, CHECK_EVERY + 7])
def test_sums_are_complete_wherever_a_device_is_stopped(stop_after: int) -> None:
    """The loss is fetched once in many batches there; the state that is saved must not lack the rest."""
    from netslim.training.step import StepResult

    class CountingStep(TrainStep):
        def __call__(self, images: Tensor, labels: Tensor, total: int | None = None) -> StepResult:
            return StepResult(loss=torch.tensor(3.0), correct=torch.tensor(1))

    model = nn.Linear(1, 1)
    optimizer = build_sgd(model, lr=0.1, momentum=0.0, weight_decay=0.0)
    saved: list[TrainState] = []
    reporter = Silent()
    training = training_of(
        CountingStep(model, optimizer, precision=Precision(), penalty=L1Penalty(model, 0.0)),
        batches=SlowDevice(2 * CHECK_EVERY),
        stop=lambda: training.state.batch == stop_after,
        save=lambda state, row, best: saved.append(replace(state)),
        reporter=reporter,
    )
    with pytest.raises(StopRequested):
        training.run()
    state = saved[-1]
    assert (state.batch, state.images, state.correct) == (stop_after, 2 * stop_after, stop_after)
    assert state.loss_sum == pytest.approx(3.0 * stop_after)
    assert all(numbers["loss"] == pytest.approx(1.5) for _, _, _, numbers in reporter.shown)


def test_the_share_of_the_time_that_is_spent_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch takes 3 seconds to come, its step 1, and the end of the epoch is known after 4 more."""
    from netslim.training.step import StepResult

    now = 0.0

    class SlowImages(SlowDevice):
        def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
            nonlocal now
            for _ in range(self.batches):
                now += 3
                yield torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64)
            now += 4

    class SlowStep(TrainStep):
        def __call__(self, images: Tensor, labels: Tensor, total: int | None = None) -> StepResult:
            nonlocal now
            now += 1
            return StepResult(loss=torch.tensor(3.0), correct=torch.tensor(1))

    def evaluation() -> Evaluation:
        nonlocal now
        now += 100
        return Evaluation(top1=0.5, loss=1.0, correct=1, images=2)

    model, rows = nn.Linear(1, 1), list[dict[str, Any] | None]()
    optimizer = build_sgd(model, lr=0.1, momentum=0.0, weight_decay=0.0)
    monkeypatch.setattr("netslim.training.loop.time.perf_counter", lambda: now)
    training_of(
        SlowStep(model, optimizer, precision=Precision(), penalty=L1Penalty(model, 0.0)),
        batches=SlowImages(5),
        evaluate=evaluation,
        epochs=2,
        save=lambda state, row, best: rows.append(row),
    ).run()
    assert [row and (row["waiting"], row["images_per_second"], row["seconds"]) for row in rows] == [
        (pytest.approx(19 / 24), pytest.approx(10 / 24), 124)
    ] * 2


@pytest.mark.parametrize(
    ("by_objective", "ties", "best"), [(False, True, [1, 3, 5]), (False, False, [1, 5]), (True, True, [1, 2, 3])]
)
def test_the_best_epoch(by_objective: bool, ties: bool, best: list[int]) -> None:
    """By accuracy, of equally accurate ones the lowest loss or the first; by objective, the lowest."""
    found = [(0.8, 0.3), (0.7, 0.2), (0.8, 0.1), (0.8, 0.1), (0.9, 0.15), (0.9, 0.15)]
    evaluations = iter([Evaluation(top1=top1, loss=loss, correct=1, images=1) for top1, loss in found])
    model = nn.Linear(1, 1)
    optimizer = build_sgd(model, lr=0.1, momentum=0.0, weight_decay=0.0)
    bests: list[int] = []

    def save(state: TrainState, row: dict[str, Any] | None, best: bool) -> None:
        if best:
            bests.append(state.epoch)

    training = training_of(
        TrainStep(model, optimizer, precision=Precision(), penalty=L1Penalty(nn.BatchNorm2d(2), 0.1)),
        batches=OneNumber(),
        evaluate=lambda: next(evaluations),
        epochs=6,
        by_objective=by_objective,
        ties_by_objective=ties,
        save=save,
    )
    training.run()
    assert bests == best
    assert training.state.objective == pytest.approx(0.2 + found[best[-1] - 1][1])  # penalty 0.1 x (1 + 1)


class OneNumber:
    """One batch of one number."""

    def __len__(self) -> int:
        return 1

    def count(self, number: int) -> int:
        return 1

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        yield torch.ones(1, 1), torch.zeros(1, dtype=torch.int64)
