"""Target litert: its folder, in its own run time."""

import sys
from pathlib import Path

import pytest

from targets.run_times import check_missing_package, check_nested, check_pruned, check_refusals


def test_without_the_package_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    check_missing_package("litert", "litert_torch", tmp_path / "net")


@pytest.mark.slow
def test_a_pruned_network_runs_at_any_batch_and_number_of_threads(tmp_path: Path) -> None:
    pytest.importorskip("litert_torch")
    check_pruned("litert", "model.tflite", tmp_path / "net")


@pytest.mark.slow
def test_inputs_and_outputs_of_any_nesting_are_compared(tmp_path: Path) -> None:
    pytest.importorskip("litert_torch")
    check_nested("litert", tmp_path / "net")


@pytest.mark.slow
def test_what_it_cannot_take_or_read_is_one_clear_line(tmp_path: Path) -> None:
    pytest.importorskip("litert_torch")
    check_refusals("litert", "LiteRT", "model.tflite", tmp_path)
