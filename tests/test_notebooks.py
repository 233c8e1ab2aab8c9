"""The notebooks: each runs at toy length, and what is committed of it is small and says nothing of a machine."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "examples" / "notebooks").glob("*.ipynb"))
TOY = {"EPOCHS": 1, "TUNING": 1, "IMAGES": 64, "PER_CLASS": 16, "SCHEDULE": (0.7, 0.5)}


def toy_length(parameters: str) -> str:
    """The cell of parameters with little to do."""
    return re.sub(r"^(\w+) = [^#\n]+", lambda found: f"{found[1]} = {TOY[found[1]]}  ", parameters, flags=re.MULTILINE)


def outputs_of(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source = toy_length(parameters.source)
    NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}}).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_are_small_and_were_run_in_order(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == [*range(1, len(codes) + 1)]
    outputs = outputs_of(notebook)
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert all(output.name == "stdout" for output in outputs if output.output_type == "stream")  # no warnings
    assert sum("image/png" in output.get("data", {}) for output in outputs) <= 1
    assert path.stat().st_size < 40_000
    text = "\n".join([output.get("text", "") for output in outputs])
    assert not re.search(r"(?<![\w.])/\w+/\w+|[A-Z]:\\", text)  # no absolute paths


def test_there_is_a_notebook_for_each_kind_of_reader() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["own_classifier", "own_detector", "own_loop", "timm_own_images"]
