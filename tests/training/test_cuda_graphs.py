"""Recorded steps against ordinary ones, to the bit: whole trainings, with a recorder that forgets all of Python."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pairs_of_runs import EPOCHS, Run, same
from recording import Looks, TapeRecorder
from torch import Tensor, nn

from netslim.data import Augmentation, ImageDataset, Split, TrainBatches, evaluation_batches
from netslim.training.cuda_graphs import WARM_UP, CudaRecorder
from netslim.training.distillation import Teacher
from netslim.training.evaluate import evaluate
from netslim.training.loop import StopRequested
from netslim.training.optimizer import export_state, import_state
from netslim.training.precision import EXACT, Precision
from netslim.training.step import compiled_for
from netslim.training.tasks.objective import Classification

WEIGHTS = {"bn": torch.tensor([0.3, 1.7, 0.0, 2.1])}
TRAININGS: dict[str, dict[str, Any]] = {
    "l1": {},
    "l1-weighted": {"penalty": {"weights": WEIGHTS, "warmup": 2.0, "schedule": "lr"}},
    "proximal": {"kind": "proximal", "schedule": "onecycle"},
    "proximal-falling": {"kind": "proximal", "penalty": {"schedule": "linear", "warmup": 1.5, "weights": WEIGHTS}},
    "polarization": {"kind": "polarization", "penalty": {"schedule": "cosine"}, "sgd": {"scale_decay": False}},
    "accumulated": {"accumulate": 3, "clip_grad_norm": 0.3, "objective": Classification(0.1)},
    "nesterov": {"sgd": {"nesterov": True}, "schedule": "cosine"},
    "no-momentum": {"sgd": {"momentum": 0.0}},
    "bf16": {"precision": Precision("bf16", channels_last=True)},
}


@pytest.mark.parametrize("options", TRAININGS.values(), ids=TRAININGS)
def test_a_recorded_training_is_the_training(make_tiny: Callable[[], nn.Module], options: dict[str, Any]) -> None:
    recorder = TapeRecorder()
    recorded = Run(make_tiny(), recorder, **options).go()
    assert recorded.lines == []
    assert recorder.played > 4 * (EPOCHS - WARM_UP) - 6
    assert same(recorded, Run(make_tiny(), **options).go())


def test_a_teacher_is_recorded_too(make_tiny: Callable[..., nn.Module]) -> None:
    recorded = Run(make_tiny(), TapeRecorder(), teacher=Teacher(make_tiny(seed=4))).go()
    assert recorded.lines == []
    assert same(recorded, Run(make_tiny(), teacher=Teacher(make_tiny(seed=4))).go())


def test_a_recorded_network_with_dropout_draws_the_same_numbers(make_tiny: Callable[[], nn.Module]) -> None:
    def network() -> nn.Module:
        return nn.Sequential(nn.Dropout(0.3), make_tiny())

    recorded = Run(network(), TapeRecorder()).go()
    assert recorded.lines == []
    assert same(recorded, Run(network()).go())


@pytest.mark.parametrize("cut", [2, WARM_UP, WARM_UP + 2, 17])
def test_a_recorded_training_goes_on_where_it_was_cut_off(make_tiny: Callable[[], nn.Module], cut: int) -> None:
    first = Run(make_tiny(), TapeRecorder(), kind="proximal", stop_after=cut)
    with pytest.raises(StopRequested):
        first.go()
    weights = copy.deepcopy(first.model.state_dict())
    optimizer = copy.deepcopy(export_state(first.step.optimizer, first.model))
    assert all(type(group["lr"]) is float for group in optimizer["param_groups"])
    again = Run(make_tiny(), TapeRecorder(), kind="proximal", state=first.training.state)
    again.model.load_state_dict(weights)
    import_state(again.step.optimizer, again.model, optimizer)
    whole = Run(make_tiny(), kind="proximal").go()
    again.go()
    assert all(torch.equal(one, other) for one, other in zip(again.end, whole.end, strict=True))
    assert again.reporter.rows == whole.reporter.rows[-len(again.reporter.rows) :]


def test_a_state_that_is_taken_up_after_the_recording_is_what_the_recording_goes_on_with(
    make_tiny: Callable[..., nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    """The recording reads the memory of the momentum buffers: a state is put into them, not in their place."""
    other = Run(make_tiny(seed=4))
    other.step(*batch)
    state, weights = export_state(other.step.optimizer, other.model), copy.deepcopy(other.model.state_dict())
    ends = []
    for recorder in (TapeRecorder(), None):
        run = Run(make_tiny(), recorder)
        for _ in range(WARM_UP + 3):
            run.step(*batch)
        run.model.load_state_dict(weights)
        import_state(run.step.optimizer, run.model, copy.deepcopy(state))
        for _ in range(2):
            run.step(*batch)
        ends.append(run.end)
    assert all(torch.equal(one, two) for one, two in zip(*ends, strict=True))


def test_each_form_and_each_shape_has_its_own_recording(make_tiny: Callable[[], nn.Module]) -> None:
    """Full and last batches, both in steps and in evaluations; and the penalty before and after it holds zeros."""
    constant = Run(make_tiny(), TapeRecorder(), kind="proximal").go()
    falling = Run(make_tiny(), TapeRecorder(), kind="proximal", penalty={"schedule": "linear"}).go()
    assert constant.graphs
    assert falling.graphs
    assert (constant.graphs.recorded, falling.graphs.recorded) == (4, 5)  # three last batches are before the hold


def test_results_are_not_overwritten_by_later_steps(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    run = Run(make_tiny(), TapeRecorder())
    results = [run.step(*batch) for _ in range(WARM_UP + 4)]
    assert len({float(result.loss) for result in results}) == len(results)


def test_nothing_waits_for_the_device_between_two_looks_at_the_loss(make_tiny: Callable[[], nn.Module]) -> None:
    run, images = Run(make_tiny(), TapeRecorder(), kind="proximal"), torch.zeros(40, 1, 4, 4, dtype=torch.uint8)
    split = Split(images, torch.zeros(40, dtype=torch.int64))
    data = ImageDataset(
        name="tiny",
        train=split,
        test=split,
        class_names=("a",),
        mean=(0.5,),
        std=(0.25,),
        augmentation=Augmentation(pad=1, flip=True),
    )
    batches = TrainBatches(split, data, batch_size=4, seed=1, device="cpu").epoch(0)
    run.step(*next(batches))  # the epoch's draws are made on the host
    for count in (WARM_UP - 1, 3):
        with Looks() as looks:
            for _ in range(count):
                run.training._set_rates(0.5)
                run.step(*next(batches))
        assert looks.count == 0
        run.step(*next(batches))  # the first time, this is the one that is recorded
    with Looks() as looks:
        evaluate(run.model, evaluation_batches(split, data, batch_size=4, device="cpu"))
    assert looks.count == 2  # loss and number of correct ones, at the end


# What can't be recorded


class Looking(nn.Module):
    """Decides by a value on the device."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits if float(logits.detach().sum()) > 0 else logits * 0.5


class Counting(Looking):
    """Does something else at every call, and only Python knows."""

    calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        logits: Tensor = self.network(images)
        return logits * (1 + self.calls % 7)


def test_a_failure_is_said_in_a_line_and_leaves_no_trace(make_tiny: Callable[[], nn.Module]) -> None:
    recorder = TapeRecorder(broken="CUDA error: not supported\nwith a long explanation")
    recorded = Run(make_tiny(), recorder, kind="polarization").go()
    assert recorded.lines == ["graphs are off: CUDA error: not supported"]
    assert recorder.played == 0
    assert same(recorded, Run(make_tiny(), kind="polarization").go())
    assert recorded.step.penalty.device_factor is None


def test_a_network_that_looks_at_values_is_run_as_it_is(make_tiny: Callable[[], nn.Module]) -> None:
    recorded = Run(Looking(make_tiny()), TapeRecorder()).go()
    assert recorded.lines == ["graphs are off: operation not permitted when stream is capturing"]
    assert same(recorded, Run(Looking(make_tiny())).go())


def test_a_replay_that_does_something_else_is_noticed(make_tiny: Callable[[], nn.Module]) -> None:
    recorded = Run(Counting(make_tiny()), TapeRecorder()).go()
    (line,) = recorded.lines
    assert line.startswith("graphs are off: a replay differs from an ordinary run by ")
    assert recorded.graphs
    assert recorded.graphs.recorded == 0


# Compilation


def test_batches_of_one_size_are_compiled_and_the_trial_leaves_no_trace(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler itself takes minutes, and what it makes rounds differently: here it counts images."""
    sizes: list[int] = []

    def counting(model: nn.Module, *, dynamic: bool) -> Callable[[Tensor], Tensor]:
        assert not dynamic
        return lambda images: (sizes.append(len(images)), model(images))[1]

    monkeypatch.setattr(torch, "compile", counting)
    model = make_tiny().eval()
    compiled = Run(model, TapeRecorder(), compiled=compiled_for(model, len(batch[0])))
    before = [tensor.clone() for tensor in compiled.end]
    compiled.step.rehearse(*batch)
    assert not model.training
    assert all(torch.equal(one, other) for one, other in zip(before, compiled.end, strict=True))
    assert same(compiled.go(), Run(make_tiny()).go())
    assert compiled.lines == []
    assert sizes == [8] * (1 + WARM_UP + 2)  # the trial, the warm-up, the recording and what it is held against


def test_a_compiler_that_fails_changes_nothing(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def late_failure(model: nn.Module, **_: object) -> Callable[[Tensor], Tensor]:
        def call(images: Tensor) -> Tensor:
            model(images)  # BatchNorm has counted the batch by now
            raise OSError("no compiler")

        return call

    monkeypatch.setattr(torch, "compile", late_failure)
    model = make_tiny()
    with pytest.raises(OSError, match="no compiler"):
        Run(model, compiled=compiled_for(model, len(batch[0]))).step.rehearse(*batch)
    assert same(Run(model).go(), Run(make_tiny()).go())


# On a GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", [EXACT, Precision("bf16", channels_last=True)], ids=str)
def test_cuda_graphs_take_the_same_steps(make_tiny: Callable[[], nn.Module], precision: Precision) -> None:
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(8, 1, 4, 4, generator=generator), torch.randint(0, 3, (8,), generator=generator)
    images, labels = images.cuda(), labels.cuda()
    plain = Run(make_tiny().cuda(), precision=precision, kind="proximal")
    recorded = Run(make_tiny().cuda(), CudaRecorder(torch.device("cuda")), precision=precision, kind="proximal")
    for number in range(20):
        losses = []
        for run in (plain, recorded):
            run.step.optimizer.param_groups[0]["lr"] = 0.1 / (number + 1)
            losses.append(run.step(images, labels).loss)
        torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-4)
    assert recorded.lines == []
    assert recorded.graphs
    assert recorded.graphs.recorded == 1
    for one, other in zip(plain.end, recorded.end, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)
    assert float(F.cross_entropy(plain.model(images), labels)) == pytest.approx(
        float(F.cross_entropy(recorded.model(images), labels)), rel=1e-2
    )
