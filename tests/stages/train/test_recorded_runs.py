"""`capture`: what is said where steps can't be recorded, and whole runs from recordings."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import InterruptedRunError, UsageError
from netslim.core.processes.distributed import ALONE, World
from netslim.stages.train import step_setup
from netslim.stages.train.config import TrainConfig
from netslim.training.precision import Precision
from netslim.training.precision_probe import PROBE_STEPS
from netslim.training.signals import Interrupt

Train = Callable[..., dict[str, Any]]


CHECKPOINT = "checkpoint.pth.tar"


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Runs on the CPU are recorded with the stand-in of the training's tests; here are those that were made."""
    path = Path(__file__).parents[2] / "training" / "recording.py"
    spec = importlib.util.spec_from_file_location("recording", path)
    assert spec
    assert spec.loader
    recording = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recording)
    made: list[Any] = []

    def make(_: torch.device) -> Any:
        made.append(recording.TapeRecorder())
        return made[-1]

    monkeypatch.setattr(step_setup, "CudaRecorder", make)
    monkeypatch.setattr(step_setup, "_unrecordable", lambda *_: "")
    return made


def assert_same(one: Path, other: Path) -> None:
    first, second = (read_checkpoint(folder / CHECKPOINT) for folder in (one, other))
    for key, value in first.state_dict.items():
        assert torch.equal(value, second.state_dict[key]), key
    assert first.optimizer
    assert second.optimizer
    assert first.optimizer["param_groups"] == second.optimizer["param_groups"]
    for number, state in first.optimizer["state"].items():
        assert torch.equal(state["momentum_buffer"], second.optimizer["state"][number]["momentum_buffer"])


def test_an_unknown_way(run_train: Train, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        run_train(save=tmp_path / "run", capture="graph")
    assert str(error.value) == "unknown capture 'graph'; did you mean graphs? (known: auto, compile, graphs, off)"


@pytest.mark.parametrize("capture", ["graphs", "compile"])
def test_on_a_cpu_a_line_says_so_and_the_run_is_the_same(
    run_train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str], capture: str
) -> None:
    run_train(save=tmp_path / "auto", epochs=1)
    assert "graphs" not in capsys.readouterr().out
    run_train(save=tmp_path / "asked", epochs=1, capture=capture)
    assert capsys.readouterr().out.startswith("graphs are off: they need a GPU, and this runs on cpu\ntraining ")
    assert_same(tmp_path / "auto", tmp_path / "asked")
    run_train(save=tmp_path / "asked", epochs=1, capture="off")  # it is the same run
    assert "is finished" in capsys.readouterr().out


def test_fp16_is_not_recorded(recorders: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    asked, fp16 = TrainConfig(capture="graphs"), Precision("fp16")
    assert step_setup.graphs_for(asked, fp16, torch.device("cpu"), ALONE) is None
    assert capsys.readouterr().out == (
        "graphs are off: in fp16 the host looks at every step's gradients; type `precision='bf16'`\n"
    )
    assert recorders == []


def test_what_is_said_of_several_processes() -> None:
    assert step_setup._unrecordable(torch.device("cuda"), World(0, 2)) == "several processes train together"


def test_precisions_are_timed_as_they_will_be_taken(
    run_train: Train, tmp_path: Path, recorders: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netslim.training.precision_probe.has_bf16", lambda _: False)
    run_train(save=tmp_path / "run", epochs=1, precision="auto", capture="graphs")
    assert [recorder.played for recorder in recorders] == [1 + PROBE_STEPS, 1 + PROBE_STEPS, 0]  # two layouts, the run


def test_a_recorded_run_is_the_run(
    run_train: Train, tmp_path: Path, recorders: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"epochs": 5, "sparsity_regularization": True, "penalty": "proximal", "s": 0.01}
    plain = run_train(save=tmp_path / "plain", capture="off", **given)
    recorded = run_train(save=tmp_path / "recorded", capture="graphs", **given)
    assert ", steps recorded" in capsys.readouterr().out
    assert recorders[0].played > 6
    assert_same(tmp_path / "plain", tmp_path / "recorded")
    assert {**recorded, "file": "", "seconds": 0} == {**plain, "file": "", "seconds": 0}


def test_a_recorded_run_gets_smaller_as_the_run_does(run_train: Train, tmp_path: Path, recorders: list[Any]) -> None:
    given = {"epochs": 4, "sparsity_regularization": True, "penalty": "proximal", "s": 0.2, "prune_zeros": True}
    run_train(save=tmp_path / "plain", capture="off", **given)
    run_train(save=tmp_path / "recorded", capture="graphs", **given)
    assert len(recorders) > 1
    assert_same(tmp_path / "plain", tmp_path / "recorded")


def test_a_recorded_run_goes_on_after_an_interruption(
    run_train: Train, tmp_path: Path, recorders: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"epochs": 5, "sparsity_regularization": True, "s": 0.01}
    run_train(save=tmp_path / "plain", capture="off", **given)
    signals = iter([None] * 10)  # asked for after every batch, also in evaluations
    with monkeypatch.context() as patch:
        later = property(lambda _: next(signals, 2), lambda *_: None)
        patch.setattr(Interrupt, "signal", later, raising=False)
        with pytest.raises(InterruptedRunError, match="in epoch 3 after batch 3"):
            run_train(save=tmp_path / "cut", capture="graphs", **given)
    run_train(save=tmp_path / "cut", capture="graphs", **given)
    assert [recorder.played > 0 for recorder in recorders] == [True, True]
    assert_same(tmp_path / "plain", tmp_path / "cut")


def test_a_compiler_that_fails_is_said_in_a_line(
    run_train: Train,
    tmp_path: Path,
    recorders: list[Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no compiler\nin a long story")

    monkeypatch.setattr(torch, "compile", fail)
    run_train(save=tmp_path / "compiled", capture="compile", epochs=1)
    assert capsys.readouterr().out.startswith("the network is not compiled: no compiler\ntraining ")
    run_train(save=tmp_path / "plain", epochs=1)
    assert_same(tmp_path / "plain", tmp_path / "compiled")
    assert len(recorders) == 1
