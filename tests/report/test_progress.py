"""How a training goes, in plain lines."""

import io
from typing import Any

import pytest
from rich.console import Console

from netslim.report.progress import LayersProgress, TrainingProgress

NUMBERS = {"loss": 1.23456, "top1": 0.5, "images_per_second": 99.6, "seconds_left": 3661.0}
ROW: dict[str, Any] = {
    "epoch": 4,
    "lr": 0.01,
    "loss": 0.5,
    "penalty": 0.25,
    "near_zero_scales": 0.125,
    "train_top1": 0.75,
    "top1": 0.5,
    "best_top1": 0.625,
    "images_per_second": 1234.5,
    "waiting": 0.0499,
    "seconds": 1.0,
}


def progress(**given: Any) -> TrainingProgress:
    return TrainingProgress(**{"epochs": 10, "log_interval": 2, "selected_on": "val", "sparse": False, **given})


def test_a_plain_line_every_so_many_batches_but_not_at_the_epochs_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as shown:
        for done in range(1, 7):
            shown.batch(3, done, 6, NUMBERS)
    assert capsys.readouterr().out.splitlines() == [
        f"Train Epoch: 3 [{done}/6 batches]  loss 1.2346  top-1 50.0 %  100 images/s  01:01:01 left" for done in (2, 4)
    ]


def test_the_line_of_a_network_that_gets_smaller_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(sparse=True) as shown:
        shown.epoch({**ROW, "zero_scales": 0.1, "channels": 1204, "macs": 3_265_872})
    assert "  zero 10.0 %  1,204 channels, 3.27M MACs left  train top-1 " in capsys.readouterr().out


@pytest.mark.parametrize("sparse", [False, True])
def test_an_epochs_line(sparse: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(sparse=sparse) as shown:
        shown.epoch(ROW)
    middle = "  penalty 0.2500  near zero 12.5 %" if sparse else ""
    assert capsys.readouterr().out == (
        f"epoch 5/10  lr 0.01  loss 0.5000{middle}  train top-1 75.00 %  val top-1 50.00 % (best 62.50 %)  "
        f"1234 images/s\n"
    )


def test_the_first_epoch_that_waited_says_what_helps(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as shown:
        shown.epoch({**ROW, "waiting": 0.5, "seconds": 0.9})  # of a few images everything is a large share
        shown.epoch({**ROW, "waiting": 0.05})
        shown.epoch({**ROW, "waiting": 0.06})
    assert [line.partition(" images/s")[2] for line in capsys.readouterr().out.splitlines()] == [
        "",
        "  5 % waiting for images: a larger `batch_size`, a smaller `image_size` or more cores help",
        "",
    ]


def test_where_images_can_not_be_late_nothing_is_advised(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(waits=False) as shown:
        shown.epoch({**ROW, "waiting": 0.5})
    assert capsys.readouterr().out.endswith("1234 images/s\n")


def test_an_error_ends_the_display_and_goes_on() -> None:
    with pytest.raises(ValueError, match="x"), progress():
        raise ValueError("x")


def test_no_bar_of_layers_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with LayersProgress("fitting layers") as shown:
        shown.layer(1, 3)
    assert capsys.readouterr().out == ""


def test_a_bar_of_layers_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr("netslim.report.progress.console", lambda: terminal)
    with LayersProgress("fitting layers") as shown:
        shown.layer(2, 3)
    assert "fitting layers" in (out := terminal.file.getvalue())  # type: ignore[attr-defined]
    assert "2/3" in out
