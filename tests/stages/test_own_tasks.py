"""Tasks of the user's own from the command line: the commands of the examples and of the document, as they stand."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_code import Run

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if "netslim train" in path.read_text())
SHORT = ("--epochs", 2, "--precision", "fp32", "--device", "cpu", "--workers", 0)


def commands(text: str) -> Iterator[list[str]]:
    """What stands after `netslim` in each of its commands."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line) if line.strip().startswith("netslim ") else []
        if words:
            yield words[1:]


def on_cpu(words: list[str]) -> list[object]:
    """The command at toy length."""
    short = {"train": SHORT, "prune": SHORT[4:], "evaluate": SHORT[4:6]}
    return [*words, *short.get(words[0], ())]


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in ("regression", "segmentation")))
        for path in EXAMPLES
    ],
)
def test_an_example_trains_prunes_and_trains_again(example: Path, run_own: Run) -> None:
    Path("examples").symlink_to(ROOT / "examples")
    lines = list(commands(ast.get_docstring(ast.parse(example.read_text())) or ""))
    assert [words[0] for words in lines] == ["train", "prune", "train"]
    for words in lines:
        done = run_own(*on_cpu(words))
        assert done.code == 0, done.err
    folder = Path("runs", example.stem)
    sparse, small = (json.loads((folder / name / "run.json").read_text())["result"] for name in ("sparse", "small"))
    assert small["macs"] < sparse["macs"]
    assert sparse["metric_name"] == small["metric_name"] != ""
    assert "top-1" not in done.out


def test_there_is_an_example_of_each_task() -> None:
    assert {path.stem for path in EXAMPLES} >= {"segmentation", "multi_label", "regression", "detection"}


def test_the_example_of_the_document_runs_as_it_stands_there(run_own: Run) -> None:
    text = (ROOT / "docs" / "your_own.md").read_text()
    (program,), (shell,) = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "bash"))
    Path("mine.py").write_text(program)
    verbs = []
    for words in commands(shell):
        done = run_own(*on_cpu(words))
        assert done.code == 0, (words, done.err)
        verbs.append(words[0])
    assert verbs == ["train", "prune", "train", "evaluate", "export"]
    assert Path("small/model_best.onnx").is_file()


def test_the_segmenter_learns(run_own: Run) -> None:
    Path("examples").symlink_to(ROOT / "examples")
    train, *_ = commands(ast.get_docstring(ast.parse((ROOT / "examples" / "segmentation.py").read_text())) or "")
    assert run_own(*on_cpu(train), "--epochs", 6).code == 0
    result = json.loads(Path("runs/segmentation/sparse/run.json").read_text())["result"]
    assert result["test_metric"] > 0.6
